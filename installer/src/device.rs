//! What the installer needs of a disk: a small trait, so that tests can use a disk that loses its power.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

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

    /// Makes the next read of these bytes come from the medium. Only what was synced can be forgotten.
    ///
    /// # Errors
    /// When the system refuses.
    fn forget(&self, _range: Range<u64>) -> io::Result<()> {
        Ok(())
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

/// A block device or a file.
#[derive(Debug)]
pub struct Disk {
    file: File,
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
        Ok(Self { file, size, sector_size })
    }

    /// Opens a disk for reading and writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: impl AsRef<Path>, sector_size: SectorSize) -> io::Result<Self> {
        Self::new(OpenOptions::new().read(true).write(true).open(path)?, sector_size)
    }

    /// Opens a disk for reading.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn look_at(path: impl AsRef<Path>, sector_size: SectorSize) -> io::Result<Self> {
        Self::new(File::open(path)?, sector_size)
    }
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

    fn forget(&self, range: Range<u64>) -> io::Result<()> {
        let length = std::num::NonZeroU64::new(range.end.saturating_sub(range.start));
        Ok(fadvise(&self.file, range.start, length, Advice::DontNeed)?)
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
