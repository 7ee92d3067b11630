//! The ring of boot records.
//!
//! A record is a log, not a decision: one that is damaged, or that a newer version wrote, is passed over when
//! reading and may be written over by a later boot.

#[cfg(test)]
mod tests;

use std::io;

use crate::boot::fit;
use crate::boot::record::BootRecord;
use crate::device::Device;
use crate::frame::{self, Frame, FrameError, HEADER_LEN, Magic};
use crate::layout::{HALF_SIZE, RECORD_SIZE, RECORDS, RECORDS_AT};

const MAGIC: Magic = *b"CORTENBR";

/// Why a boot record could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// It cannot be put into JSON.
    #[error("encode the boot record")]
    Encode(#[source] serde_json::Error),
    /// It is too large even without its logs.
    #[error("the boot record does not fit into {limit} bytes even without its logs")]
    TooLarge {
        /// Bytes that it may have.
        limit: usize,
    },
    /// Writing failed.
    #[error("write boot record {sequence}")]
    Io {
        /// The boot.
        sequence: u64,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The place of a boot that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    index: u64,
    /// Half that is written next.
    half: u64,
    /// Counter of what is written next.
    counter: u64,
    sequence: u64,
}

impl Slot {
    /// Number of the boot.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// All records that can be read, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Listing {
    /// Newest first.
    pub records: Vec<BootRecord>,
    /// Places whose record cannot be read.
    pub damaged: Vec<DamagedSlot>,
}

/// A place whose record cannot be read.
#[derive(Debug)]
pub struct DamagedSlot {
    /// Number of the place.
    pub index: u64,
    /// Why.
    pub reason: FrameError,
}

/// The boot records on a META partition.
#[derive(Debug, Clone)]
pub struct Ring<D> {
    device: D,
}

/// What a half holds, as far as it matters.
type Half = Result<(u64, BootRecord), FrameError>;

impl<D: Device> Ring<D> {
    /// The ring on this device.
    pub fn new(device: D) -> Self {
        Self { device }
    }

    /// Takes a place for a boot that starts, numbers the record, and stores it.
    pub fn begin(&self, record: &mut BootRecord) -> Result<Slot, RingError> {
        record.sequence = self.list().records.first().map_or(1, |last| last.sequence.saturating_add(1));
        let mut slot = self.place(record.sequence);
        self.store(&mut slot, record)?;
        Ok(slot)
    }

    /// Stores what is known by now. When this was cut off, what was stored before is still there.
    pub fn store(&self, slot: &mut Slot, record: &BootRecord) -> Result<(), RingError> {
        let limit = usize::try_from(HALF_SIZE).unwrap_or(usize::MAX) - HEADER_LEN;
        let payload =
            fit::fit(record, limit).map_err(RingError::Encode)?.ok_or(RingError::TooLarge { limit })?;
        let bytes = frame::encode(MAGIC, slot.counter, &payload);
        let failed = |source| RingError::Io { sequence: slot.sequence, source };
        self.device.write_at(&bytes, half_at(slot.index, slot.half)).map_err(failed)?;
        self.device.sync().map_err(failed)?;
        slot.half = 1 - slot.half;
        slot.counter = slot.counter.saturating_add(1);
        Ok(())
    }

    /// Changes the record of a boot that is over; tells whether there is one.
    pub fn amend(&self, sequence: u64, change: impl FnOnce(&mut BootRecord)) -> Result<bool, RingError> {
        let found = self.list().records.into_iter().find(|record| record.sequence == sequence);
        let Some(mut record) = found else {
            return Ok(false);
        };
        change(&mut record);
        record.sequence = sequence;
        let mut slot = self.place(sequence);
        self.store(&mut slot, &record).map(|()| true)
    }

    /// All records.
    pub fn list(&self) -> Listing {
        let mut listing = Listing::default();
        for index in 0..RECORDS {
            match newest(self.halves(index)) {
                Ok(record) => listing.records.push(record),
                Err(FrameError::Blank) => {}
                Err(reason) => listing.damaged.push(DamagedSlot { index, reason }),
            }
        }
        listing.records.sort_by_key(|record| std::cmp::Reverse(record.sequence));
        listing
    }

    /// The record of this many boots ago; 0 is the newest, which is this boot once it has begun.
    pub fn previous(&self, boots: usize) -> Option<BootRecord> {
        self.list().records.into_iter().nth(boots)
    }

    /// Where a boot is written: over the older half, or the one that cannot be used.
    fn place(&self, sequence: u64) -> Slot {
        let index = sequence % RECORDS;
        let [a, b] = self.halves(index).map(|half| counter(&half));
        let half = if a <= b { 0 } else { 1 };
        let counter = a.max(b).map_or(1, |counter| counter.saturating_add(1));
        Slot { index, half, counter, sequence }
    }

    fn halves(&self, index: u64) -> [Half; 2] {
        [0, 1].map(|half| {
            let Frame { counter, payload } =
                frame::read(&self.device, MAGIC, half_at(index, half), HALF_SIZE)?;
            let record = serde_json::from_slice(&payload).map_err(|_| FrameError::Content)?;
            Ok((counter, record))
        })
    }
}

fn half_at(index: u64, half: u64) -> u64 {
    RECORDS_AT + index * RECORD_SIZE + half * HALF_SIZE
}

/// The counter of a half that is whole.
fn counter(half: &Half) -> Option<u64> {
    match half {
        Ok((counter, _)) | Err(FrameError::Newer { counter, .. }) => Some(*counter),
        Err(_) => None,
    }
}

fn newest(halves: [Half; 2]) -> Result<BootRecord, FrameError> {
    match halves {
        [Ok(a), Ok(b)] => Ok(if a.0 > b.0 { a.1 } else { b.1 }),
        [Ok((_, record)), Err(_)] | [Err(_), Ok((_, record))] => Ok(record),
        [Err(FrameError::Blank), Err(reason)] | [Err(reason), Err(_)] => Err(reason),
    }
}
