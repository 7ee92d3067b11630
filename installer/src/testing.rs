//! A disk in memory that can be told to fail: at a write, the power is cut, and of all that was not synced an arbitrary
//! part is lost, sector by sector.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::device::{Device, SectorSize};

/// The disk. What was never written is zero and takes no memory.
#[derive(Debug)]
pub struct FlakyDisk {
    size: u64,
    sector: SectorSize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// On the medium.
    durable: BTreeMap<u64, Vec<u8>>,
    /// In the cache, in the order of writing. `None` is zeros.
    pending: Vec<(Range<u64>, Option<Vec<u8>>)>,
    /// Writes and syncs so far.
    operations: u64,
    /// The operation that does not happen any more, nor any after it.
    cut_at: Option<u64>,
    /// Bits of this sector are flipped when it is read from the medium.
    rotten: Option<u64>,
}

impl FlakyDisk {
    /// An empty disk.
    pub fn new(size: u64, sector: SectorSize) -> Self {
        Self { size, sector, state: Mutex::default() }
    }

    /// A copy of what is on the medium, whose power is cut at this operation, counted from 0.
    #[must_use]
    pub fn cut_at(&self, operation: u64) -> Self {
        let durable = self.lock().durable.clone();
        let state = State { durable, cut_at: Some(operation), ..State::default() };
        Self { size: self.size, sector: self.sector, state: Mutex::new(state) }
    }

    /// A copy of what is on the medium.
    #[must_use]
    pub fn copy(&self) -> Self {
        self.cut_at(u64::MAX)
    }

    /// The disk after power came back: each sector that was in the cache is kept or lost, as `seed` says.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let state = self.lock();
        let mut durable = state.durable.clone();
        let mut random = seed;
        for (range, bytes) in &state.pending {
            apply(&mut durable, self.sector, range, bytes.as_deref(), &mut || {
                // splitmix64: seeds that are close to each other lose different sectors.
                random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed >> 63 == 1
            });
        }
        let state = State { durable, ..State::default() };
        Self { size: self.size, sector: self.sector, state: Mutex::new(state) }
    }

    /// Writes and syncs so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// From now on the medium gives other bytes for this place than were written.
    pub fn rot(&self, at: u64) {
        self.lock().rotten = Some(at / self.sector.bytes());
    }

    /// Bytes that are stored on the medium.
    pub fn stored(&self) -> u64 {
        self.lock().durable.len() as u64 * self.sector.bytes()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, range: Range<u64>, bytes: Option<Vec<u8>>) -> io::Result<()> {
        if range.end > self.size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut state = self.lock();
        state.step()?;
        state.pending.push((range, bytes));
        Ok(())
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        let now = self.operations;
        self.operations += 1;
        if self.cut_at.is_some_and(|at| now >= at) {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(())
    }

    fn read(&self, bytes: &mut [u8], at: u64, sector: SectorSize) {
        let size = sector.bytes();
        bytes.fill(0);
        let end = at + bytes.len() as u64;
        for (number, stored) in self.durable.range(at / size..end.div_ceil(size)) {
            if self.rotten == Some(*number) {
                let rotten: Vec<u8> = stored.iter().map(|byte| byte ^ 1).collect();
                overlay(bytes, at, *number * size, &rotten);
            } else {
                overlay(bytes, at, *number * size, stored);
            }
        }
        for (range, written) in &self.pending {
            match written {
                Some(written) => overlay(bytes, at, range.start, written),
                None if range.start < end && at < range.end => {
                    let from = usize::try_from(range.start.saturating_sub(at)).unwrap_or(0);
                    let to = usize::try_from(range.end.min(end) - at).unwrap_or(0);
                    bytes.get_mut(from..to).unwrap_or_default().fill(0);
                }
                None => {}
            }
        }
    }
}

/// Copies what `source`, which lies at `from`, has of `bytes`, which lie at `at`.
fn overlay(bytes: &mut [u8], at: u64, from: u64, source: &[u8]) {
    let start = at.max(from);
    let end = (at + bytes.len() as u64).min(from + source.len() as u64);
    let index = |base: u64, position: u64| usize::try_from(position - base).unwrap_or(0);
    if start < end
        && let Some(to) = bytes.get_mut(index(at, start)..index(at, end))
        && let Some(of) = source.get(index(from, start)..index(from, end))
    {
        to.copy_from_slice(of);
    }
}

/// Brings a write to the medium, as far as `keep` says for each sector.
fn apply(
    durable: &mut BTreeMap<u64, Vec<u8>>,
    sector: SectorSize,
    range: &Range<u64>,
    bytes: Option<&[u8]>,
    keep: &mut dyn FnMut() -> bool,
) {
    let size = sector.bytes();
    let numbers = range.start / size..range.end.div_ceil(size);
    let Some(bytes) = bytes else {
        let stored: Vec<u64> = durable.range(numbers).map(|(number, _)| *number).collect();
        for number in stored.into_iter().filter(|_| keep()) {
            if range.start <= number * size && (number + 1) * size <= range.end {
                durable.remove(&number);
            } else if let Some(stored) = durable.get_mut(&number) {
                let zeros = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
                overlay(stored, number * size, range.start, &zeros);
            }
        }
        return;
    };
    for number in numbers.filter(|_| keep()) {
        let stored = durable.entry(number).or_insert_with(|| vec![0; sector.length()]);
        overlay(stored, number * size, range.start, bytes);
    }
}

impl Device for FlakyDisk {
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        if at + bytes.len() as u64 > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.lock().read(bytes, at, self.sector);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write(at..at + bytes.len() as u64, Some(bytes.to_vec()))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        for (range, bytes) in std::mem::take(&mut state.pending) {
            apply(&mut state.durable, self.sector, &range, bytes.as_deref(), &mut || true);
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> SectorSize {
        self.sector
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.write(range, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_stays_and_of_the_rest_any_part_may_be_lost() {
        let disk = FlakyDisk::new(1 << 20, SectorSize::B512);
        disk.write_at(&[1; 1024], 0).unwrap();
        disk.sync().unwrap();
        disk.write_at(&[2; 16 << 10], 512).unwrap();
        disk.zero(0..512).unwrap();
        let mut bytes = [9; 1536];
        disk.read_at(&mut bytes, 0).unwrap();
        assert_eq!((bytes[0], bytes[512], bytes[1024]), (0, 2, 2));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..32 {
            disk.after_power_cut(seed).read_at(&mut bytes, 0).unwrap();
            seen.insert((bytes[0], bytes[512], bytes[1024]));
        }
        assert!(seen.len() > 3, "{seen:?}");
        assert!(seen.iter().all(|(a, b, c)| [0, 1].contains(a) && [1, 2].contains(b) && [0, 2].contains(c)));
    }

    #[test]
    fn nothing_is_written_after_the_cut() {
        let disk = FlakyDisk::new(1 << 20, SectorSize::B4096).cut_at(2);
        disk.write_at(&[1; 8], 100).unwrap();
        disk.sync().unwrap();
        assert!(disk.write_at(&[2; 8], 100).is_err() && disk.sync().is_err());
        let mut bytes = [0; 8];
        disk.after_power_cut(1).read_at(&mut bytes, 100).unwrap();
        assert_eq!(bytes, [1; 8]);
    }
}
