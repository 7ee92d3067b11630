//! The disk image: partition table, boot loader and kernel on the EFI partition, slot A filled.
//!
//! The file is sparse and as small as a system disk may be; STATE and EPHEMERAL are left to the
//! node, which uses the space that it finds on its first boot.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use installer::device::{Disk, SectorSize};
use installer::install::{self, Identities, InstallError, Plan, PlanError, Source};
use installer::selector::DiskFacts;

use crate::verity::RootHash;

/// Bytes of a disk image when nobody asks for more.
pub const DEFAULT_SIZE: u64 = 6 << 30;

/// What goes onto a disk.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// Paths and contents of files on the EFI partition.
    pub esp: &'a [(&'a str, &'a [u8])],
    /// The root image, with its hash tree.
    pub root: &'a Path,
    /// What vouches for it.
    pub root_hash: RootHash,
}

/// Why a disk image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The layout does not fit.
    #[error("lay out the disk image")]
    Plan(#[from] PlanError),
    /// Writing the system to it.
    #[error("write the disk image")]
    Install(#[from] InstallError),
    /// The files.
    #[error("open the {0}")]
    Open(&'static str, #[source] io::Error),
}

/// Writes a disk image of this many bytes: an installation to a file, with identities that derive from the root hash, so
/// that the image is reproducible.
pub fn write(path: &Path, size: u64, contents: &Contents<'_>) -> Result<(), DiskError> {
    let sector = SectorSize::default();
    let facts = DiskFacts {
        path: path.display().to_string(),
        size,
        sector_size: sector.bytes(),
        ..DiskFacts::default()
    };
    let seed = contents.root_hash.to_string();
    let plan = Plan::new(&facts, &Identities::Derived { root: contents.root_hash.partition_uuid(), seed })?;
    let disk = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .and_then(|file| file.set_len(size).map(|()| file))
        .and_then(|file| Disk::new(file, sector))
        .map_err(|error| DiskError::Open("disk image", error))?;
    let mut root = File::open(contents.root).map_err(|error| DiskError::Open("root image", error))?;
    let root_size = root.metadata().map_err(|error| DiskError::Open("root image", error))?.len();
    let source = Source { root: &mut root, root_size, esp: contents.esp };
    Ok(install::run(&disk, &plan, source, &mut |_| ControlFlow::Continue(()))?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;
    use crate::verity;

    fn root_image() -> (tempfile::NamedTempFile, RootHash) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[5; 1 << 20]).unwrap();
        let hash = verity::append(file.path()).unwrap();
        (file, hash)
    }

    #[test]
    fn slot_a_is_found_by_the_root_hash_and_holds_the_image() {
        let (image, root_hash) = root_image();
        let disk = tempfile::NamedTempFile::new().unwrap();
        let contents =
            Contents { esp: &[("loader/loader.conf", b"timeout 0\n")], root: image.path(), root_hash };
        write(disk.path(), DEFAULT_SIZE, &contents).unwrap();

        let table = gpt::GptConfig::new().open(disk.path()).unwrap();
        let slot =
            table.partitions().values().find(|found| found.part_guid == root_hash.partition_uuid()).unwrap();
        assert_eq!(slot.name, "ROOT-A");
        let mut file = File::open(disk.path()).unwrap();
        file.seek(SeekFrom::Start(slot.first_lba * 512)).unwrap();
        let mut found = vec![0; usize::try_from(image.as_file().metadata().unwrap().len()).unwrap()];
        file.read_exact(&mut found).unwrap();
        assert!(found == std::fs::read(image.path()).unwrap());
        let guids: std::collections::BTreeSet<_> =
            table.partitions().values().map(|found| found.part_guid).collect();
        assert_eq!(guids.len(), 4);
    }

    #[test]
    fn a_disk_that_is_too_small_is_refused() {
        let (image, root_hash) = root_image();
        let disk = tempfile::NamedTempFile::new().unwrap();
        let contents = Contents { esp: &[], root: image.path(), root_hash };
        assert!(matches!(write(disk.path(), 1 << 30, &contents), Err(DiskError::Plan(_))));
    }
}
