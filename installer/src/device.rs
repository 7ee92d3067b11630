//! What the installer needs of a disk: a small trait, so that tests can use a disk that loses its power.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};

/// Bytes that are written and read at once.
pub const CHUNK: usize = 4 << 20;

/// Bytes of a logical sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SectorSize {
    /// 512 bytes: most disks.
    #[default]
    B512,
    /// 4096 bytes: "4K native" disks.
    B4096,
}

impl SectorSize {
    /// As a number.
    pub fn bytes(self) -> u64 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }

    /// As a length in memory.
    pub fn length(self) -> usize {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }
}

/// Sectors that we cannot handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk has sectors of {0} bytes: 512 and 4096 are known")]
pub struct SectorSizeError(pub u64);

impl TryFrom<u64> for SectorSize {
    type Error = SectorSizeError;

    fn try_from(bytes: u64) -> Result<Self, SectorSizeError> {
        match bytes {
            512 => Ok(Self::B512),
            4096 => Ok(Self::B4096),
            other => Err(SectorSizeError(other)),
        }
    }
}

/// A disk. What was written is on the medium after [`Device::sync`], not before.
pub trait Device {
    /// Fills `bytes` from `at` on.
    ///
    /// # Errors
    /// When the disk fails, or ends before.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `at` on.
    ///
    /// # Errors
    /// When the disk fails, or ends before.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Waits until all that was written is on the medium.
    ///
    /// # Errors
    /// When any of it could not be written.
    fn sync(&self) -> io::Result<()>;

    /// Bytes of the whole disk.
    fn size(&self) -> u64;

    /// Its sectors.
    fn sector_size(&self) -> SectorSize;

    /// Makes the bytes of `range` zero, by whatever is fastest.
    ///
    /// # Errors
    /// When the disk fails.
    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        write_zeros(self, range)
    }

    /// Fills `bytes` with what the medium has from `at` on, whatever memory remembers. Only what was synced is there.
    ///
    /// # Errors
    /// When the disk fails, or ends before.
    fn read_medium(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.read_at(bytes, at)
    }
}

/// Writes zeros for want of anything faster.
pub(crate) fn write_zeros<D: Device + ?Sized>(device: &D, range: Range<u64>) -> io::Result<()> {
    let zeros = vec![0; CHUNK.min(usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(CHUNK))];
    for part in chunks(range) {
        let length = usize::try_from(part.end - part.start).unwrap_or(CHUNK);
        device.write_at(zeros.get(..length).unwrap_or_default(), part.start)?;
    }
    Ok(())
}

/// `range` in pieces that end on multiples of [`CHUNK`], so that no write straddles what a disk would split.
pub(crate) fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let chunk = CHUNK as u64;
    let mut at = range.start;
    std::iter::from_fn(move || {
        let end = (at - at % chunk + chunk).min(range.end);
        let part = at..end;
        at = end;
        (!part.is_empty()).then_some(part)
    })
}

/// A chunk of memory that a disk can fill and read by itself, because it begins on a page.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

/// Memory pages and file systems have no larger unit on the machines that we run on.
const PAGE: usize = 4096;

impl Buffer {
    /// [`CHUNK`] zeros.
    pub fn new() -> Self {
        let memory = vec![0; CHUNK + PAGE];
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, start }
    }

    /// The first `length` bytes, [`CHUNK`] at most.
    pub fn first(&mut self, length: usize) -> &mut [u8] {
        self.memory.get_mut(self.start..self.start + length.min(CHUNK)).unwrap_or_default()
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

/// A block device or a file. Whole sectors in a [`Buffer`] go to the disk and come from it past the page cache (O_DIRECT in
/// open(2)), where the system can: a copy in memory would cost more than the disk itself.
#[derive(Debug)]
pub struct Disk {
    file: File,
    direct: Option<File>,
    size: u64,
    sector_size: SectorSize,
}

impl Disk {
    /// An open disk; the file must be readable, and writable to write.
    ///
    /// # Errors
    /// When its end cannot be found.
    pub fn new(mut file: File, sector_size: SectorSize) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, direct: None, size, sector_size })
    }

    /// Opens a disk for reading and writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: impl AsRef<Path>, sector_size: SectorSize) -> io::Result<Self> {
        let mut how = OpenOptions::new();
        how.read(true).write(true);
        let disk = Self::new(how.open(&path)?, sector_size)?;
        let flag = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
        Ok(Self { direct: how.custom_flags(flag).open(path).ok(), ..disk })
    }

    /// Opens a disk for reading.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn look_at(path: impl AsRef<Path>, sector_size: SectorSize) -> io::Result<Self> {
        Self::new(File::open(path)?, sector_size)
    }

    /// The way past the page cache, when it can take these bytes.
    fn direct(&self, bytes: &[u8], at: u64) -> Option<&File> {
        let sectors = self.sector_size.bytes();
        let whole = at.is_multiple_of(sectors) && (bytes.len() as u64).is_multiple_of(sectors);
        self.direct.as_ref().filter(|_| whole && bytes.as_ptr().addr().is_multiple_of(PAGE))
    }
}

/// Whether the system does not go past the page cache here, though it let us open the disk so.
fn is_unable(outcome: &io::Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput)
}

impl Device for Disk {
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        // A file would grow where a disk ends.
        if at.saturating_add(bytes.len() as u64) > self.size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(direct) = self.direct(bytes, at) {
            let outcome = direct.write_all_at(bytes, at);
            if !is_unable(&outcome) {
                return outcome;
            }
        }
        self.file.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        // A hole keeps an image sparse; on a disk it is an unmap that is defined to read as zeros. Not every disk has it.
        let (at, length) = (range.start, range.end.saturating_sub(range.start));
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if length == 0 || fallocate(&self.file, flags, at, length).is_ok() {
            return Ok(());
        }
        write_zeros(self, range)
    }

    fn read_medium(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        if let Some(direct) = self.direct(bytes, at) {
            let outcome = direct.read_exact_at(bytes, at);
            if !is_unable(&outcome) {
                return outcome;
            }
        }
        fadvise(&self.file, at, NonZeroU64::new(bytes.len() as u64), Advice::DontNeed)?;
        self.file.read_exact_at(bytes, at)
    }
}

/// A part of a disk, to read only, for code that wants a stream. It ends after a number of bytes: what is on a disk may
/// be damaged, and a reader must not go round in circles.
#[derive(Debug)]
pub(crate) struct Window<'a, D: Device + ?Sized> {
    device: &'a D,
    range: Range<u64>,
    position: u64,
    budget: u64,
}

impl<'a, D: Device + ?Sized> Window<'a, D> {
    pub(crate) fn new(device: &'a D, range: Range<u64>, budget: u64) -> Self {
        Self { device, range, position: 0, budget }
    }

    fn length(&self) -> u64 {
        self.range.end - self.range.start
    }
}

impl<D: Device + ?Sized> Read for Window<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length().saturating_sub(self.position);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(budget) = self.budget.checked_sub(length as u64) else {
            return Err(io::Error::other("the file system leads nowhere"));
        };
        self.budget = budget;
        if let Some(bytes) = buffer.get_mut(..length).filter(|bytes| !bytes.is_empty()) {
            self.device.read_at(bytes, self.range.start + self.position)?;
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl<D: Device + ?Sized> Write for Window<'_, D> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<D: Device + ?Sized> Seek for Window<'_, D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = target(to, self.position, self.length())?;
        Ok(self.position)
    }
}

/// Where a seek leads.
pub(crate) fn target(to: SeekFrom, position: u64, length: u64) -> io::Result<u64> {
    let target = match to {
        SeekFrom::Start(at) => Some(at),
        SeekFrom::End(by) => length.checked_add_signed(by),
        SeekFrom::Current(by) => position.checked_add_signed(by),
    };
    target.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn pieces_end_where_the_disk_would_cut_and_cover_everything() {
        let parts: Vec<_> = chunks(3 * MIB..13 * MIB + 5).collect();
        assert_eq!(parts, [3 * MIB..4 * MIB, 4 * MIB..8 * MIB, 8 * MIB..12 * MIB, 12 * MIB..13 * MIB + 5]);
        assert_eq!(chunks(7..7).count(), 0);
    }

    #[test]
    fn a_file_is_zeroed_and_does_not_grow() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 8192], 0).unwrap();
        let disk = Disk::new(file, SectorSize::B4096).unwrap();
        disk.zero(100..5000).unwrap();
        let mut bytes = [9; 8192];
        disk.read_at(&mut bytes, 0).unwrap();
        assert!(bytes[100..5000].iter().all(|byte| *byte == 0));
        assert_eq!((bytes[99], bytes[5000]), (7, 7));
        assert_eq!(disk.write_at(&[1; 2], 8191).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(SectorSize::try_from(520), Err(SectorSizeError(520)));
    }

    #[test]
    fn whole_sectors_and_odd_bytes_meet_on_the_disk() {
        // Beside the test: /tmp may be in memory, which knows no way past memory.
        let folder = std::env::current_exe().unwrap();
        let file = tempfile::NamedTempFile::new_in(folder.parent().unwrap()).unwrap();
        file.as_file().set_len(16 * MIB).unwrap();
        let disk = Disk::open(file.path(), SectorSize::B512).unwrap();
        let mut buffer = Buffer::new();
        buffer.first(CHUNK).fill(7);
        assert_eq!(disk.direct(buffer.first(CHUNK), MIB).is_some(), disk.direct.is_some());
        assert!(disk.direct(&buffer.first(CHUNK)[1..513], MIB).is_none(), "not on a page");
        assert!(disk.direct(buffer.first(513), MIB).is_none(), "half a sector");
        assert!(disk.direct(buffer.first(512), MIB + 1).is_none(), "between sectors");
        disk.write_at(buffer.first(CHUNK), MIB).unwrap();
        disk.write_at(&[1; 3], MIB + 510).unwrap();
        disk.write_at(buffer.first(513), 8 * MIB).unwrap();
        disk.sync().unwrap();
        buffer.first(CHUNK).fill(0);
        disk.read_medium(buffer.first(1024), MIB).unwrap();
        let bytes = buffer.first(1024);
        assert_eq!((bytes[509], bytes[510], bytes[512], bytes[513]), (7, 1, 1, 7));
        disk.read_medium(buffer.first(514), 8 * MIB).unwrap();
        assert_eq!(buffer.first(514)[511..], [7, 7, 0]);
        let end = disk.write_at(buffer.first(CHUNK), 13 * MIB).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::StorageFull);
        assert!(disk.read_medium(buffer.first(1024), 16 * MIB - 512).is_err(), "the disk ends there");
    }

    #[test]
    fn a_window_ends_at_its_range_and_at_its_budget() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"0123456789", 0).unwrap();
        let disk = Disk::new(file, SectorSize::B512).unwrap();
        let mut text = String::new();
        Window::new(&disk, 2..6, 100).read_to_string(&mut text).unwrap();
        assert_eq!(text, "2345");
        let mut window = Window::new(&disk, 0..10, 25);
        let mut seen = 0;
        while window.read_exact(&mut [0; 5]).is_ok() {
            window.rewind().unwrap();
            seen += 1;
        }
        assert_eq!(seen, 5);
    }
}
