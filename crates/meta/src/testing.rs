//! A disk in memory for tests: what was not flushed is lost, in pieces of a sector, when the power goes.
//!
//! It records every write and every flush. Code under test does not notice a power cut, so one run is enough:
//! [`SimulatedDisk::after_power_cut`] gives the disk as any cut would have left it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::device::Device;

/// What a disk writes whole or not at all.
pub const SECTOR: usize = 512;

type Sectors = BTreeMap<u64, [u8; SECTOR]>;

/// A disk that forgets. Sectors that were never written read as zeros and take no memory.
#[derive(Debug, Default)]
pub struct SimulatedDisk {
    state: Mutex<State>,
}

/// One thing that happened to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes were written.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Everything before was made to last.
    Sync,
}

#[derive(Debug, Default, Clone)]
struct State {
    len: u64,
    /// As it was when recording started.
    start: Sectors,
    /// As it reads now.
    now: Sectors,
    events: Vec<Event>,
    bad: Vec<Range<u64>>,
    pulled_after: Option<usize>,
}

impl SimulatedDisk {
    /// A blank disk of this many bytes.
    pub fn new(len: u64) -> Self {
        Self { state: Mutex::new(State { len, ..State::default() }) }
    }

    /// What happened since the disk was made, in order.
    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    /// How often something happened; a power cut may come after each.
    pub fn event_count(&self) -> usize {
        self.state().events.len()
    }

    /// The disk after the power went when this many events had happened. Of what was not flushed by then, `keep`
    /// says sector by sector whether it got onto the medium: it is given the event and the sector on the disk.
    pub fn after_power_cut(&self, events: usize, mut keep: impl FnMut(usize, u64) -> bool) -> Self {
        let state = self.state();
        let mut happened = state.events.get(..events).unwrap_or(&state.events).iter().enumerate();
        let flushed =
            happened.clone().rev().find(|(_, event)| **event == Event::Sync).map_or(0, |(at, _)| at);
        let mut sectors = state.start.clone();
        happened.by_ref().for_each(|(at, event)| {
            if let Event::Write { offset, bytes } = event {
                put(&mut sectors, *offset, bytes, |sector| at < flushed || keep(at, sector));
            }
        });
        Self::with(state.len, sectors)
    }

    /// The disk as it reads now, with everything flushed and no memory of how it came to be.
    pub fn snapshot(&self) -> Self {
        let state = self.state();
        Self::with(state.len, state.now.clone())
    }

    /// Turns over one bit.
    pub fn flip_bit(&self, offset: u64, bit: u32) {
        let mut state = self.state();
        let (sector, at) = place(offset);
        for sectors in state.both() {
            if let Some(byte) = sectors.entry(sector).or_insert([0; SECTOR]).get_mut(at) {
                *byte ^= 1u8.rotate_left(bit);
            }
        }
    }

    /// Puts zeros there, as if nothing had ever been written.
    pub fn blank(&self, range: Range<u64>) {
        let zeros = vec![0; usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default()];
        let mut state = self.state();
        for sectors in state.both() {
            put(sectors, range.start, &zeros, |_| true);
        }
    }

    /// Changes the size.
    pub fn resize(&self, len: u64) {
        self.state().len = len;
    }

    /// From now on the sectors that hold these bytes can be neither read nor written.
    pub fn break_sectors(&self, range: Range<u64>) {
        self.state().bad.push(range);
    }

    /// After this many events in all, every access fails: the disk was pulled out.
    pub fn pull_after(&self, events: usize) {
        self.state().pulled_after = Some(events);
    }

    fn with(len: u64, sectors: Sectors) -> Self {
        let state = State { len, start: sectors.clone(), now: sectors, ..State::default() };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn both(&mut self) -> [&mut Sectors; 2] {
        [&mut self.start, &mut self.now]
    }

    fn check(&self, offset: u64, len: usize) -> io::Result<()> {
        let end = offset.checked_add(len as u64).ok_or(io::ErrorKind::InvalidInput)?;
        if self.pulled_after.is_some_and(|events| self.events.len() >= events) {
            return Err(io::Error::other("the disk was pulled out"));
        }
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let sector = SECTOR as u64;
        let broken = |bad: &Range<u64>| {
            offset < bad.end.next_multiple_of(sector) && bad.start / sector * sector < end && len > 0
        };
        if self.bad.iter().any(broken) {
            return Err(io::Error::other("a bad sector"));
        }
        Ok(())
    }
}

impl Device for SimulatedDisk {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state();
        state.check(offset, buffer.len())?;
        for (at, byte) in (offset..).zip(buffer) {
            let (sector, at) = place(at);
            *byte = state.now.get(&sector).and_then(|sector| sector.get(at)).copied().unwrap_or_default();
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state();
        state.check(offset, bytes.len())?;
        put(&mut state.now, offset, bytes, |_| true);
        state.events.push(Event::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.check(0, 0)?;
        state.events.push(Event::Sync);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }
}

/// Writes those sectors of the bytes that are kept.
fn put(sectors: &mut Sectors, offset: u64, bytes: &[u8], mut keep: impl FnMut(u64) -> bool) {
    let mut offset = offset;
    let mut bytes = bytes;
    while !bytes.is_empty() {
        let (sector, at) = place(offset);
        let (head, rest) = bytes.split_at(bytes.len().min(SECTOR - at));
        if keep(sector) {
            let content = sectors.entry(sector).or_insert([0; SECTOR]);
            if let Some(room) = content.get_mut(at..at + head.len()) {
                room.copy_from_slice(head);
            }
        }
        offset += head.len() as u64;
        bytes = rest;
    }
}

/// The sector of an offset, and where in it.
fn place(offset: u64) -> (u64, usize) {
    let sector = SECTOR as u64;
    (offset / sector, usize::try_from(offset % sector).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &SimulatedDisk, len: usize) -> Vec<u8> {
        let mut buffer = vec![0; len];
        disk.read_at(&mut buffer, 0).unwrap();
        buffer
    }

    #[test]
    fn what_was_flushed_stays_and_the_rest_goes() {
        let disk = SimulatedDisk::new(4096);
        disk.write_at(&[1; 1024], 0).unwrap();
        disk.sync().unwrap();
        disk.write_at(&[2; 1024], 0).unwrap();
        assert_eq!(content(&disk, 1024), [2; 1024]);
        assert_eq!(content(&disk.after_power_cut(3, |_, _| false), 1024), [1; 1024]);
        assert_eq!(content(&disk.after_power_cut(3, |_, _| true), 1024), [2; 1024]);
        let torn = content(&disk.after_power_cut(3, |_, sector| sector == 1), 1024);
        assert_eq!((torn[511], torn[512]), (1, 2));
        assert_eq!(content(&disk.after_power_cut(0, |_, _| true), 1024), [0; 1024]);
    }

    #[test]
    fn a_disk_that_was_pulled_out_does_nothing() {
        let disk = SimulatedDisk::new(4096);
        disk.pull_after(1);
        disk.write_at(&[1], 0).unwrap();
        disk.write_at(&[1], 0).unwrap_err();
        disk.sync().unwrap_err();
    }

    #[test]
    fn nothing_is_behind_the_end() {
        let disk = SimulatedDisk::new(100);
        disk.write_at(&[1; 101], 0).unwrap_err();
        disk.read_at(&mut [0; 1], 100).unwrap_err();
        disk.resize(101);
        disk.read_at(&mut [0; 1], 100).unwrap();
    }
}
