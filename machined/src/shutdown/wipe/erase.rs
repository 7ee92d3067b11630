//! Erases one range of a disk in one way, and checks what there is to check.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use corten_sys::block;

use super::plan::{Way, headers};

/// Between two looks at whether somebody still waits.
const PIECE: u64 = 64 << 20;
/// Zeros are written in pieces of this size where the kernel does not do it.
const CHUNK: usize = 1 << 20;
/// How many places of a range are looked at, and how many bytes each.
const SAMPLES: u64 = 64;
const SAMPLE: usize = 4096;
/// The same as an offset.
const SAMPLE_BYTES: u64 = 4096;

/// What erasing asks of a disk.
pub(super) trait Blocks {
    /// Tells that the content is not needed.
    fn discard(&self, range: Range<u64>) -> io::Result<()>;
    /// Zeros, on the medium.
    fn zero(&self, range: Range<u64>) -> io::Result<()>;
    /// Reads.
    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;
    /// Everything is on the medium.
    fn sync(&self) -> io::Result<()>;
}

impl Blocks for File {
    fn discard(&self, range: Range<u64>) -> io::Result<()> {
        block::discard_range(self, range)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        if block::zero_out(self, range.clone()).is_ok() {
            return Ok(());
        }
        // Not a block device, or one with other sectors than the range.
        let zeros = vec![0; CHUNK];
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
            self.write_all_at(zeros.get(..length).unwrap_or_default(), at)?;
            at += length as u64;
        }
        self.sync_all()
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Why a range is not erased.
#[derive(Debug, thiserror::Error)]
pub(in crate::shutdown) enum EraseError {
    /// The disk refused.
    #[error("{0} failed")]
    Disk(&'static str, #[source] io::Error),
    /// It said yes and did not do it.
    #[error("the disk still gives what was on it, at byte {at}")]
    StillThere {
        /// Where.
        at: u64,
    },
    /// Nobody waits any more.
    #[error("it was given up")]
    GivenUp,
}

/// Erases `range`. `go_on` is asked between pieces and told how far it is.
pub(super) fn erase(
    disk: &impl Blocks,
    range: Range<u64>,
    way: Way,
    go_on: impl Fn(u64) -> bool,
) -> Result<(), EraseError> {
    match way {
        Way::Discard | Way::DiscardAndCheck => {
            disk.discard(range.clone()).map_err(|error| EraseError::Disk("discard", error))?;
            // By now there may be something else on it.
            if !go_on(0) {
                return Err(EraseError::GivenUp);
            }
            if way == Way::DiscardAndCheck {
                check(disk, &range)?;
            }
            // A discard need not be on the medium yet, and some devices discard only whole large blocks.
            zero_headers(disk, &range)?;
        }
        Way::Zeros => {
            let mut at = range.start;
            while at < range.end {
                let end = range.end.min(at + PIECE);
                disk.zero(at..end).map_err(|error| EraseError::Disk("write zeros", error))?;
                at = end;
                if !go_on(at - range.start) {
                    return Err(EraseError::GivenUp);
                }
            }
        }
        Way::Headers => zero_headers(disk, &range)?,
    }
    disk.sync().map_err(|error| EraseError::Disk("sync", error))
}

fn zero_headers(disk: &impl Blocks, range: &Range<u64>) -> Result<(), EraseError> {
    for part in headers(range) {
        disk.zero(part).map_err(|error| EraseError::Disk("write zeros", error))?;
    }
    Ok(())
}

/// Looks at places all over the range.
fn check(disk: &impl Blocks, range: &Range<u64>) -> Result<(), EraseError> {
    for at in samples(range) {
        let mut bytes = [0; SAMPLE];
        let length = usize::try_from(range.end - at).unwrap_or(SAMPLE).min(SAMPLE);
        let bytes = bytes.get_mut(..length).unwrap_or_default();
        disk.read(bytes, at).map_err(|error| EraseError::Disk("read back", error))?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(EraseError::StillThere { at });
        }
    }
    Ok(())
}

/// Evenly, from the first bytes to the last.
fn samples(range: &Range<u64>) -> impl Iterator<Item = u64> + use<> {
    let (start, last) = (range.start, range.end.saturating_sub(SAMPLE_BYTES).max(range.start));
    (0..=SAMPLES).map(move |number| {
        let at = u128::from(last - start) * u128::from(number) / u128::from(SAMPLES);
        let at = start + u64::try_from(at).unwrap_or(0);
        if number == SAMPLES { at } else { at - (at - start) % SAMPLE_BYTES }
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A disk in memory that discards only when told so.
    struct Memory {
        bytes: RefCell<Vec<u8>>,
        discards: bool,
        lies: bool,
    }

    impl Memory {
        fn new(discards: bool, lies: bool) -> Self {
            Self { bytes: RefCell::new(vec![7; 8 << 20]), discards, lies }
        }

        fn fill(&self, range: Range<u64>, value: u8) {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            self.bytes.borrow_mut()[range].fill(value);
        }
    }

    impl Blocks for Memory {
        fn discard(&self, range: Range<u64>) -> io::Result<()> {
            match (self.discards, self.lies) {
                (false, _) => Err(io::ErrorKind::Unsupported.into()),
                (true, true) => Ok(()),
                (true, false) => {
                    self.fill(range, 0);
                    Ok(())
                }
            }
        }

        fn zero(&self, range: Range<u64>) -> io::Result<()> {
            self.fill(range, 0);
            Ok(())
        }

        fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
            let at = usize::try_from(at).unwrap();
            bytes.copy_from_slice(&self.bytes.borrow()[at..at + bytes.len()]);
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    const RANGE: Range<u64> = (1 << 20)..(7 << 20) + 512;

    fn outside_is_whole(disk: &Memory) {
        let bytes = disk.bytes.borrow();
        assert!(bytes[..1 << 20].iter().chain(&bytes[(7 << 20) + 512..]).all(|byte| *byte == 7));
    }

    #[test]
    fn what_is_erased_is_zero_and_nothing_else_is() {
        for way in [Way::DiscardAndCheck, Way::Zeros] {
            let disk = Memory::new(true, false);
            erase(&disk, RANGE, way, |_| true).unwrap();
            assert!(disk.bytes.borrow()[1 << 20..(7 << 20) + 512].iter().all(|byte| *byte == 0));
            outside_is_whole(&disk);
        }
    }

    #[test]
    fn a_disk_that_only_says_it_discards_is_found_out() {
        let error = erase(&Memory::new(true, true), RANGE, Way::DiscardAndCheck, |_| true).unwrap_err();
        assert!(matches!(error, EraseError::StillThere { at } if at == RANGE.start), "{error}");
        let error = erase(&Memory::new(false, false), RANGE, Way::DiscardAndCheck, |_| true).unwrap_err();
        assert!(matches!(error, EraseError::Disk("discard", _)), "{error}");
    }

    #[test]
    fn headers_leave_the_rest() {
        let disk = Memory::new(false, false);
        erase(&disk, RANGE, Way::Headers, |_| true).unwrap();
        let bytes = disk.bytes.borrow();
        assert_eq!((bytes[1 << 20], bytes[(5 << 20) + 1], bytes[(7 << 20) + 511]), (0, 7, 0));
        drop(bytes);
        outside_is_whole(&disk);
    }

    #[test]
    fn writing_ends_when_nobody_waits() {
        for way in [Way::Zeros, Way::Discard] {
            let error = erase(&Memory::new(true, true), RANGE, way, |_| false).unwrap_err();
            assert!(matches!(error, EraseError::GivenUp), "{error}");
        }
    }

    #[test]
    fn samples_reach_both_ends() {
        let all: Vec<u64> = samples(&RANGE).collect();
        assert_eq!((all.first(), all.last()), (Some(&RANGE.start), Some(&(RANGE.end - SAMPLE_BYTES))));
        assert!(all.is_sorted());
        assert!(samples(&(0..512)).all(|at| at == 0));
    }
}
