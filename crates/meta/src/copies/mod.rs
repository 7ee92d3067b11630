//! The two copies of the map: the newer one is read, the older one is written.
//!
//! | copies | read as |
//! |---|---|
//! | both whole | the one with the higher counter |
//! | one whole | that one |
//! | both blank, or one blank and one damaged | empty: the first write was cut off |
//! | both damaged | an error that names both reasons |
//!
//! The third row is safe because a write does not end before both copies are whole. A copy in a newer format is
//! read around when the other one can be read, and is never written over.

#[cfg(test)]
mod tests;

use crate::device::Device;
use crate::error::MetaError;
use crate::frame::{self, Frame, FrameError, Magic};
use crate::layout::{COPIES_AT, COPY_SIZE, PARTITION_SIZE};
use crate::map::Meta;

const MAGIC: Magic = *b"CORTENMT";

/// The map with its counter, or why there is none.
type Copy = Result<(u64, Meta), FrameError>;

/// Reads the map; an empty one when none was written yet.
pub fn read<D: Device + ?Sized>(device: &D) -> Result<Meta, MetaError> {
    check_size(device)?;
    let [a, b] = load(device);
    newest(a, b).map(|(_, meta)| meta)
}

/// Writes the map over the older copy. When this was cut off, the map from before is still there.
pub fn write<D: Device + ?Sized>(device: &D, meta: &Meta) -> Result<(), MetaError> {
    check_size(device)?;
    let copies = load(device);
    for copy in &copies {
        if let Err(FrameError::Newer { major, .. }) = copy {
            return Err(MetaError::NewerFormat { found: *major, known: frame::MAJOR });
        }
    }
    let counters = copies.map(|copy| copy.ok().map(|(counter, _)| counter));
    let payload = meta.encode()?;
    let mut next = counters.iter().flatten().max().map_or(1, |counter| counter.saturating_add(1));
    for copy in targets(counters) {
        store(device, copy, next, &payload)?;
        next = next.saturating_add(1);
    }
    Ok(())
}

/// Makes the partition blank: no map, no boot record. Whatever was there is not found any more.
pub fn format<D: Device + ?Sized>(device: &D) -> Result<(), MetaError> {
    check_size(device)?;
    let zeros = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < PARTITION_SIZE {
        device
            .write_at(&zeros, offset)
            .map_err(|source| MetaError::Io { what: "blank the META partition", source })?;
        offset += zeros.len() as u64;
    }
    device.sync().map_err(|source| MetaError::Io { what: "sync the META partition", source })
}

/// Which copies to write, in order: the older or unusable one, then the other one unless it is whole.
fn targets(counters: [Option<u64>; 2]) -> Vec<usize> {
    match counters {
        [None, None] => vec![0, 1],
        [Some(a), Some(b)] if a > b => vec![1],
        [Some(_), None] => vec![1],
        [Some(_), Some(_)] | [None, Some(_)] => vec![0],
    }
}

fn store<D: Device + ?Sized>(device: &D, copy: usize, counter: u64, payload: &[u8]) -> Result<(), MetaError> {
    let bytes = frame::encode(MAGIC, counter, payload);
    let needed = bytes.len() as u64;
    if needed > COPY_SIZE {
        return Err(MetaError::TooLarge { needed, limit: COPY_SIZE });
    }
    let offset = COPIES_AT.get(copy).copied().unwrap_or_default();
    device
        .write_at(&bytes, offset)
        .map_err(|source| MetaError::Io { what: "write a copy of META", source })?;
    device.sync().map_err(|source| MetaError::Io { what: "sync the META partition", source })
}

fn load<D: Device + ?Sized>(device: &D) -> [Copy; 2] {
    COPIES_AT.map(|offset| {
        let Frame { counter, payload } = frame::read(device, MAGIC, offset, COPY_SIZE)?;
        Ok((counter, Meta::decode(&payload)?))
    })
}

fn newest(a: Copy, b: Copy) -> Result<(u64, Meta), MetaError> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(if a.0 > b.0 { a } else { b }),
        (Ok(copy), Err(_)) | (Err(_), Ok(copy)) => Ok(copy),
        (Err(FrameError::Newer { major, .. }), Err(_)) | (Err(_), Err(FrameError::Newer { major, .. })) => {
            Err(MetaError::NewerFormat { found: major, known: frame::MAJOR })
        }
        (Err(FrameError::Blank), Err(_)) | (Err(_), Err(FrameError::Blank)) => Ok((0, Meta::default())),
        (Err(a), Err(b)) => Err(MetaError::Damaged { a, b }),
    }
}

fn check_size<D: Device + ?Sized>(device: &D) -> Result<(), MetaError> {
    let found = device
        .len()
        .map_err(|source| MetaError::Io { what: "find the size of the META partition", source })?;
    let needed = PARTITION_SIZE;
    if found < needed {
        return Err(MetaError::TooSmall { found, needed });
    }
    Ok(())
}
