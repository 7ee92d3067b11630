//! The EFI system partition: a FAT file system with the boot loader and the kernel images. FAT32, or FAT16 when it is
//! too small for that, which UEFI allows on removable media.
//!
//! Its volume id is fixed and its files carry the oldest date that FAT knows, so that the same files
//! make the same bytes.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};
use fscommon::BufStream;

/// "CORT".
const VOLUME_ID: u32 = 0x434f_5254;

/// FAT32 has at least 65,525 clusters, and they have at least 512 bytes.
const FAT32_MINIMUM: u64 = 34 << 20;

/// Formats the whole of `volume` and writes the files. Folders on the way are made.
pub fn format<V: Read + Write + Seek>(mut volume: V, files: &[(&str, &[u8])]) -> io::Result<()> {
    let length = volume.seek(SeekFrom::End(0))?;
    volume.seek(SeekFrom::Start(0))?;
    let options = FormatVolumeOptions::new()
        .fat_type(if length < FAT32_MINIMUM { FatType::Fat16 } else { FatType::Fat32 })
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
        format(&mut bytes, FILES).unwrap();
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
    fn the_same_files_make_the_same_bytes() {
        let one = volume();
        std::thread::sleep(std::time::Duration::from_millis(2100)); // FAT counts in steps of 2 s
        assert!(one == volume());
    }
}
