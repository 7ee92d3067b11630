//! The disk image: partition table, boot loader and kernel on the EFI partition, slot A filled.
//!
//! The file is sparse and as small as a system disk may be; STATE and EPHEMERAL are left to the
//! node, which uses the space that it finds on its first boot.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use corten_constants::labels;
use fscommon::StreamSlice;
use installer::layout::{self, Extent, LayoutError, Origin};
use installer::table::{self, Entry, TableError};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::esp;
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
    Layout(#[from] LayoutError),
    /// The partition table.
    #[error("write the partition table of the disk image")]
    Table(#[from] TableError),
    /// The root image does not fit its slot.
    #[error("the root image has {image} bytes, but a slot holds {slot}")]
    RootTooLarge {
        /// Size of the image.
        image: u64,
        /// Size of the slot.
        slot: u64,
    },
    /// The layout has no such partition.
    #[error("the layout has no partition {0}")]
    NoPartition(&'static str),
    /// Reading or writing.
    #[error("write the {0} of the disk image")]
    Io(&'static str, #[source] io::Error),
}

/// Writes a disk image of this many bytes.
pub fn write(path: &Path, size: u64, contents: &Contents<'_>) -> Result<(), DiskError> {
    let extents: Vec<Extent> =
        layout::place(size)?.into_iter().filter(|extent| extent.spec.origin == Origin::Image).collect();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .and_then(|file| file.set_len(size).map(|()| file))
        .map_err(|error| DiskError::Io("file", error))?;
    let entries: Vec<Entry> = extents.iter().map(|&extent| entry(extent, &contents.root_hash)).collect();
    let mut file = table::write(file, size, derived(&contents.root_hash, "disk"), &entries)?;

    let extent = find(&extents, labels::EFI)?;
    let esp = StreamSlice::new(&mut file, extent.start, extent.start + extent.length);
    esp.and_then(|esp| esp::format(esp, contents.esp))
        .map_err(|error| DiskError::Io("EFI partition", error))?;
    let extent = find(&extents, labels::ROOT_A)?;
    write_root(&mut file, extent, contents.root)?;
    file.sync_all().map_err(|error| DiskError::Io("file", error))
}

fn write_root(disk: &mut File, extent: &Extent, image: &Path) -> Result<(), DiskError> {
    let failed = |error| DiskError::Io("root slot", error);
    let mut image = File::open(image).map_err(failed)?;
    let length = image.metadata().map_err(failed)?.len();
    if length > extent.length {
        return Err(DiskError::RootTooLarge { image: length, slot: extent.length });
    }
    disk.seek(SeekFrom::Start(extent.start)).map_err(failed)?;
    io::copy(&mut image, disk).map_err(failed)?;
    Ok(())
}

fn find<'a>(extents: &'a [Extent], label: &'static str) -> Result<&'a Extent, DiskError> {
    extents.iter().find(|extent| extent.spec.label == label).ok_or(DiskError::NoPartition(label))
}

/// Identities derive from the root hash, so that the image is reproducible. Slot A has the one by
/// which the initramfs finds it.
fn entry(extent: Extent, root: &RootHash) -> Entry {
    let guid = match extent.spec.label {
        labels::ROOT_A => root.partition_uuid(),
        label => derived(root, label),
    };
    Entry { extent, guid }
}

fn derived(root: &RootHash, name: &str) -> Uuid {
    let hash = Sha256::new().chain_update(root.to_string()).chain_update(name).finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(half).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

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
        assert!(matches!(write(disk.path(), 1 << 30, &contents), Err(DiskError::Layout(_))));
    }
}
