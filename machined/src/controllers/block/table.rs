//! Adds partitions to the table of the system disk, which is in use.

use std::fs::OpenOptions;

use camino::Utf8Path;
use installer::layout::Extent;
use installer::table::{self, TableError};

/// Adds `extents` to the table of the disk at `path`. The kernel is not told.
pub fn add(path: &Utf8Path, sector_size: u64, extents: &[Extent]) -> Result<(), TableError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|source| TableError::Disk { action: "open", source })?;
    table::add(file, sector_size, extents)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;
    use corten_sys::block::gpt as reader;
    use installer::device::{Disk, SectorSize};
    use installer::layout::{Origin, minimum_disk, place};
    use installer::table::{Partition, Table};

    use super::*;
    use crate::controllers::block::plan;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    /// An image for the smallest disk, on a larger one.
    fn grown_disk(dir: &tempfile::TempDir, size: u64, sector: SectorSize) -> Utf8PathBuf {
        let path = Utf8PathBuf::from_path_buf(dir.path().join("disk")).unwrap();
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(minimum_disk()).unwrap();
        let extents = place(minimum_disk()).unwrap().into_iter();
        let partitions = extents
            .filter(|extent| extent.spec.origin == Origin::Image)
            .map(|extent| Partition::new(&extent, uuid::Uuid::from_u128(u128::from(extent.number))))
            .collect();
        let table = Table { guid: uuid::Uuid::from_u128(7), partitions };
        table.write(&Disk::new(file.try_clone().unwrap(), sector).unwrap()).unwrap();
        file.set_len(size).unwrap();
        path
    }

    #[test]
    fn partitions_are_added_at_the_end_of_a_disk_that_grew() {
        for sector in [SectorSize::B512, SectorSize::B4096] {
            let bytes = sector.bytes();
            let dir = tempfile::tempdir().unwrap();
            let size = minimum_disk() + (9 << 30);
            let path = grown_disk(&dir, size, sector);
            let before = reader::read(&path, bytes).unwrap();
            let missing = plan::partitions(size, &before).unwrap();
            add(&path, bytes, &missing).unwrap();
            let after = reader::read(&path, bytes).unwrap();
            assert_eq!(after[..4], before[..], "what was there stays as it was");
            let new: Vec<_> =
                after[4..].iter().map(|p| (p.number, p.label.as_str(), p.start, p.size)).collect();
            let wanted: Vec<_> =
                missing.iter().map(|e| (e.number, e.spec.label, e.start, e.length)).collect();
            assert_eq!(new, wanted);
            assert_eq!(plan::partitions(size, &after), Ok(Vec::new()));
            // Whoever believes that they are missing must not erase them.
            let file = File::options().read(true).write(true).open(&path).unwrap();
            file.write_all_at(&[7; 512], missing[0].start).unwrap();
            let again = add(&path, bytes, &missing).unwrap_err().to_string();
            assert!(again.contains("is where STATE would go"), "{again}");
            let mut bytes_of_state = [0; 512];
            file.read_exact_at(&mut bytes_of_state, missing[0].start).unwrap();
            assert_eq!(bytes_of_state, [7; 512]);
            // The backup is at the new end, and is enough by itself.
            File::options().write(true).open(&path).unwrap().write_all_at(&[0; 512], bytes).unwrap();
            assert_eq!(reader::read(&path, bytes).unwrap(), after);
        }
    }

    #[test]
    fn old_data_in_free_space_is_gone_and_data_elsewhere_stays() {
        let dir = tempfile::tempdir().unwrap();
        let size = minimum_disk() + (1 << 30);
        let path = grown_disk(&dir, size, SectorSize::B512);
        let missing = plan::partitions(size, &reader::read(&path, 512).unwrap()).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let (inside, before) = (missing[0].start + 1080, missing[0].start - 512);
        file.write_all_at(&[0x53, 0xef], inside).unwrap();
        file.write_all_at(&[1; 512], before).unwrap();
        add(&path, 512, &missing).unwrap();
        let mut bytes = [9; 512];
        file.read_exact_at(&mut bytes[..2], inside).unwrap();
        assert_eq!(bytes[..2], [0, 0]);
        file.read_exact_at(&mut bytes, before).unwrap();
        assert_eq!(bytes, [1; 512]);
    }
}
