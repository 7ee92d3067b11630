//! The EFI system partition: a FAT file system with the boot loader and the kernel images. FAT32, or FAT16 when it is
//! too small for that, which UEFI allows on removable media.
//!
//! On a disk it is made in memory and written from its start to its end, since the driver writes sector by sector, here and
//! there.
//!
//! Its volume id is fixed and its files carry the oldest date that FAT knows, so that the same files
//! make the same bytes.

mod fat;
mod untangle;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};
use fscommon::BufStream;

use crate::device::{Device, SectorSize, Window, target};
use crate::entry::{EntryName, boot_order};

pub use untangle::untangle;

/// Folder of the kernel images.
pub const ENTRIES: &str = "EFI/Linux";
/// A kernel image that is still being written, beside its place.
pub const INCOMING: &str = "corten.new";
/// Settings of the boot loader.
pub const LOADER_CONF: &str = "loader/loader.conf";
/// Settings of the boot loader: never a menu, and no editing of the command line.
pub const LOADER_SETTINGS: &[u8] = b"timeout 0\neditor no\n";
/// Where firmware looks for a boot loader.
#[cfg(not(target_arch = "aarch64"))]
pub const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// Where firmware looks for a boot loader.
#[cfg(target_arch = "aarch64")]
pub const LOADER: &str = "EFI/BOOT/BOOTAA64.EFI";

/// Bytes that looking for entries reads at most.
const BUDGET: u64 = 64 << 20;
/// Files in the folder of entries that are looked at.
const MAX_FILES: usize = 256;
/// Bytes of a piece of the volume in memory.
const PIECE: u64 = 1 << 20;

/// "CORT".
const VOLUME_ID: u32 = 0x434f_5254;

/// FAT32 has at least 65,525 clusters, and they have at least a sector.
const FAT32_MINIMUM: u64 = 68_000;

/// Formats the whole of `volume` and writes the files. Folders on the way are made. Linux mounts no FAT whose sectors are
/// smaller than the disk's.
pub fn format<V: Read + Write + Seek>(
    mut volume: V,
    sectors: SectorSize,
    files: &[(&str, &[u8])],
) -> io::Result<()> {
    let length = volume.seek(SeekFrom::End(0))?;
    volume.seek(SeekFrom::Start(0))?;
    let minimum = FAT32_MINIMUM * sectors.bytes();
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(u16::try_from(sectors.bytes()).map_err(io::Error::other)?)
        .fat_type(if length < minimum { FatType::Fat16 } else { FatType::Fat32 })
        .volume_id(VOLUME_ID)
        .volume_label(*b"EFI        ");
    fatfs::format_volume(BufStream::new(&mut volume), options)?;
    let options = FsOptions::new().time_provider(&FIXED_TIME).update_accessed_date(false);
    let file_system = FileSystem::new(BufStream::new(&mut volume), options)?;
    let mut folders = BTreeSet::new();
    {
        let root = file_system.root_dir();
        for (path, contents) in files {
            for (end, _) in path.match_indices('/') {
                if folders.insert(&path[..end]) {
                    root.create_dir(&path[..end])?;
                }
            }
            let mut file = root.create_file(path)?;
            file.write_all(contents)?;
            file.flush()?;
        }
    }
    file_system.unmount()
}

/// The kernel images on a volume, in the order in which the boot loader starts them.
///
/// # Errors
/// When it is not FAT, or the disk fails.
pub fn entries<D: Device + ?Sized>(device: &D, range: Range<u64>) -> io::Result<Vec<EntryName>> {
    let options = FsOptions::new().update_accessed_date(false);
    let file_system = FileSystem::new(Window::new(device, range, BUDGET), options)?;
    let folder = file_system.root_dir().open_dir(ENTRIES)?;
    let names = folder.iter().take(MAX_FILES).map_while(Result::ok);
    let mut entries: Vec<EntryName> = names.filter_map(|file| file.file_name().parse().ok()).collect();
    entries.sort_by(boot_order);
    Ok(entries)
}

/// A volume in memory. What was never written is zero and takes no space.
#[derive(Debug)]
pub(crate) struct Volume {
    length: u64,
    position: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Volume {
    /// A formatted volume with these files.
    pub(crate) fn with_files(length: u64, sectors: SectorSize, files: &[(&str, &[u8])]) -> io::Result<Self> {
        let mut volume = Self { length, position: 0, pieces: BTreeMap::new() };
        format(&mut volume, sectors, files)?;
        Ok(volume)
    }

    /// Takes the first bytes out of the volume and leaves zeros: without them it is none.
    pub(crate) fn hold_back(&mut self, length: usize) -> Vec<u8> {
        let first = self.pieces.get_mut(&0).and_then(|piece| piece.get_mut(..length)).unwrap_or_default();
        let held = first.to_vec();
        first.fill(0);
        held
    }

    /// Offset and bytes of all that was written, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pieces.iter().map(|(number, bytes)| (number * PIECE, bytes.as_slice()))
    }

    /// Bytes that were written.
    pub(crate) fn stored(&self) -> u64 {
        self.pieces.values().map(|piece| piece.len() as u64).sum()
    }

    /// The piece at the position, the offset in it, and how much of `length` fits.
    fn place(&self, length: usize) -> (u64, usize, usize) {
        let left = self.length.saturating_sub(self.position).min(PIECE - self.position % PIECE);
        let offset = usize::try_from(self.position % PIECE).unwrap_or(0);
        (self.position / PIECE, offset, length.min(usize::try_from(left).unwrap_or(0)))
    }

    fn piece_length(&self, number: u64) -> usize {
        usize::try_from(PIECE.min(self.length - number * PIECE)).unwrap_or(0)
    }
}

impl Read for Volume {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (number, offset, length) = self.place(buffer.len());
        let to = buffer.get_mut(..length).unwrap_or_default();
        match self.pieces.get(&number).and_then(|piece| piece.get(offset..offset + length)) {
            Some(from) => to.copy_from_slice(from),
            None => to.fill(0),
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for Volume {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (number, offset, length) = self.place(buffer.len());
        if length > 0 {
            let whole = self.piece_length(number);
            let piece = self.pieces.entry(number).or_insert_with(|| vec![0; whole]);
            if let (Some(to), Some(from)) = (piece.get_mut(offset..offset + length), buffer.get(..length)) {
                to.copy_from_slice(from);
            }
        }
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Volume {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = target(to, self.position, self.length)?;
        Ok(self.position)
    }
}

static FIXED_TIME: FixedTime = FixedTime;

/// The first moment that FAT can express.
#[derive(Debug)]
struct FixedTime;

impl TimeProvider for FixedTime {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &[u8])] = &[
        ("EFI/BOOT/BOOTX64.EFI", &[1; 70_000]),
        ("EFI/Linux/corten-1.0.0.efi", &[2; 300_000]),
        ("loader/loader.conf", b"timeout 0\n"),
    ];

    fn volume_of(mebibytes: usize) -> Vec<u8> {
        let mut bytes = io::Cursor::new(vec![0; mebibytes << 20]);
        format(&mut bytes, SectorSize::B512, FILES).unwrap();
        bytes.into_inner()
    }

    fn volume() -> Vec<u8> {
        volume_of(40)
    }

    #[test]
    fn files_read_back_under_their_long_names() {
        for (mebibytes, kind) in [(40, FatType::Fat32), (34, FatType::Fat32), (24, FatType::Fat16)] {
            let bytes = volume_of(mebibytes);
            let file_system = FileSystem::new(io::Cursor::new(bytes), FsOptions::new()).unwrap();
            assert_eq!(file_system.fat_type(), kind);
            for (path, contents) in FILES {
                let mut found = Vec::new();
                file_system.root_dir().open_file(path).unwrap().read_to_end(&mut found).unwrap();
                assert!(found == *contents, "{path} of {mebibytes} MiB");
            }
        }
    }

    #[test]
    fn the_sectors_are_those_of_the_disk() {
        for (sectors, mebibytes, kind) in [
            (SectorSize::B512, 40, FatType::Fat32),
            (SectorSize::B4096, 300, FatType::Fat32),
            (SectorSize::B4096, 40, FatType::Fat16),
        ] {
            let mut volume = Volume::with_files(mebibytes << 20, sectors, FILES).unwrap();
            let mut boot = [0; 512];
            volume.seek(SeekFrom::Start(0)).unwrap();
            volume.read_exact(&mut boot).unwrap();
            assert_eq!(u64::from(u16::from_le_bytes([boot[11], boot[12]])), sectors.bytes());
            volume.seek(SeekFrom::Start(0)).unwrap();
            let file_system = FileSystem::new(volume, FsOptions::new()).unwrap();
            assert_eq!(file_system.fat_type(), kind);
            let mut found = Vec::new();
            file_system.root_dir().open_file(FILES[0].0).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == FILES[0].1);
        }
    }

    #[test]
    fn a_volume_in_memory_has_the_same_bytes_and_stores_what_was_written() {
        let volume = Volume::with_files(40 << 20, SectorSize::B512, FILES).unwrap();
        let mut bytes = vec![0; 40 << 20];
        for (at, piece) in volume.pieces() {
            let at = usize::try_from(at).unwrap();
            bytes[at..at + piece.len()].copy_from_slice(piece);
        }
        assert!(bytes == super::tests::volume());
        assert!(volume.stored() < 4 << 20, "{}", volume.stored());
    }

    #[test]
    fn entries_are_listed_in_the_order_of_the_boot_loader() {
        let disk = crate::testing::FlakyDisk::new(64 << 20, crate::device::SectorSize::B512);
        let files: &[(&str, &[u8])] = &[
            ("EFI/Linux/corten-000001-1.0.0.efi", b"a"),
            ("EFI/Linux/corten-000003-1.2.0+0-3.efi", b"b"),
            ("EFI/Linux/corten-000002-0.9.0+3.efi", b"c"),
            ("EFI/Linux/other.efi", b"d"),
        ];
        let range = 1 << 20..41 << 20;
        for (at, piece) in Volume::with_files(40 << 20, SectorSize::B512, files).unwrap().pieces() {
            disk.write_at(piece, range.start + at).unwrap();
        }
        let found: Vec<_> = entries(&disk, range).unwrap().iter().map(ToString::to_string).collect();
        let order = ["corten-000002-0.9.0+3.efi", "corten-000001-1.0.0.efi", "corten-000003-1.2.0+0-3.efi"];
        assert_eq!(found, order);
        assert!(entries(&disk, 41 << 20..64 << 20).is_err());
    }

    #[test]
    fn the_same_files_make_the_same_bytes() {
        let one = volume();
        std::thread::sleep(std::time::Duration::from_millis(2100)); // FAT counts in steps of 2 s
        assert!(one == volume());
    }
}
