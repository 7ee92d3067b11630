//! Erases a range of a disk.

use std::io;
use std::ops::Range;

use crate::device::{Device, chunks};

/// Bytes at each end that hold what makes a file system or a table known.
const HEADER: u64 = 1 << 20;

/// How to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The disk is told that nothing is needed any more; where it cannot, only the headers go.
    Discard,
    /// Every byte becomes zero.
    Zeros,
    /// Only what makes the content known goes.
    Headers,
}

/// Erases `range` and waits until that is on the medium. `discard` does what only a device can, and `progress` takes the
/// bytes that are done.
///
/// # Errors
/// When the disk fails. A discard that fails is not an error.
pub fn erase<D: Device + ?Sized>(
    device: &D,
    range: Range<u64>,
    method: Method,
    discard: &mut dyn FnMut(Range<u64>) -> io::Result<()>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let length = range.end.saturating_sub(range.start);
    match method {
        Method::Zeros => {
            for part in chunks(range.clone()) {
                device.zero(part.clone())?;
                progress(part.end - range.start);
            }
        }
        Method::Discard | Method::Headers => {
            if method == Method::Discard {
                // What is read after a discard is up to the disk, so the headers are written in any case.
                let _ = discard(range.clone());
            }
            headers(device, range)?;
            progress(length);
        }
    }
    device.sync()
}

/// Erases both ends. Nothing is waited for.
pub(crate) fn headers<D: Device + ?Sized>(device: &D, range: Range<u64>) -> io::Result<()> {
    let header = HEADER.min(range.end.saturating_sub(range.start));
    device.zero(range.start..range.start + header)?;
    device.zero(range.end - header..range.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::SectorSize;
    use crate::testing::FlakyDisk;

    const MIB: u64 = 1 << 20;

    /// What is left of ones at some places of 2..12 MiB.
    fn left(method: Method) -> ([u8; 5], Option<Range<u64>>) {
        let disk = FlakyDisk::new(16 * MIB, SectorSize::B512);
        let places = [2 * MIB - 1, 2 * MIB, 7 * MIB, 12 * MIB - 1, 12 * MIB];
        for place in places {
            disk.write_at(&[1], place).unwrap();
        }
        let mut discarded = None;
        let mut discard = |range| {
            discarded = Some(range);
            Err(io::ErrorKind::Unsupported.into())
        };
        let mut done = 0;
        erase(&disk, 2 * MIB..12 * MIB, method, &mut discard, &mut |bytes| done = bytes).unwrap();
        assert_eq!(done, 10 * MIB);
        let after = disk.after_power_cut(1);
        let byte = |place| {
            let mut byte = [9];
            after.read_at(&mut byte, place).unwrap();
            byte[0]
        };
        (places.map(byte), discarded)
    }

    #[test]
    fn each_method_erases_what_it_says_and_nothing_outside() {
        assert_eq!(left(Method::Zeros), ([1, 0, 0, 0, 1], None));
        assert_eq!(left(Method::Headers), ([1, 0, 1, 0, 1], None));
        assert_eq!(left(Method::Discard), ([1, 0, 1, 0, 1], Some(2 * MIB..12 * MIB)));
    }
}
