//! What a machine would do with a replayed disk, found out without a machine: which version firmware and boot loader would
//! start, whether every byte of it is there, and what the node would find on STATE.
//!
//! ```text
//! partition table ─ EFI partition ─ boot loader ─ kernel images ─ slot of each ─ META     System
//!        └───────── STATE ─ mark ─ e2fsck, as the node runs it ─ config                   State
//! ```
//! It is an opinion of its own on purpose: only the partition table, the order of the entries and META are read with the
//! product's code, and all of that has tests of its own. The disk is not written to.

mod esp;
#[cfg(test)]
pub(crate) mod fixture;
mod rules;
mod state;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use corten_constants::labels;
use corten_meta::MetaError;
use installer::device::{Device, Disk, SectorSize};
use installer::entry::{EntryName, boot_order};
use installer::layout::TYPE_EFI;
use installer::slot;
use installer::table::{Partition, Table};

pub use rules::{Rule, Versions};

/// Bytes that are compared at once.
const CHUNK: u64 = 4 << 20;

/// A version that may be on a disk.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its version.
    pub name: String,
    /// Its unified kernel image.
    pub kernel_image: Vec<u8>,
    /// The file with its root image.
    pub root: Utf8PathBuf,
    /// What vouches for the root image.
    pub root_hash: String,
}

/// What may be on a disk.
#[derive(Debug, Clone)]
pub struct Known {
    /// The boot loader.
    pub loader: Vec<u8>,
    /// The versions.
    pub versions: Vec<Version>,
    /// A text that the node's config holds.
    pub config: String,
}

/// What starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum System {
    /// Nothing: firmware goes on to the next medium.
    None(String),
    /// A boot loader, but what it leads to is not whole.
    Broken(String),
    /// A version, of which everything is there; and so it is of every other one that has an entry.
    Whole(String),
}

/// What the node finds on STATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is no such partition: the node makes it.
    Absent,
    /// It is empty, or marked as to be formatted or erased: the node formats it.
    Blank(String),
    /// A sound file system without a config.
    Bare,
    /// A sound file system with a whole config that holds [`Known::config`].
    Configured,
    /// Anything else: the node would lose something, or refuse to work.
    Damaged(String),
}

/// Both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What starts.
    pub system: System,
    /// What it finds.
    pub state: State,
}

/// Looks at the raw file of a disk. A copy of STATE is made beside it, and removed.
pub fn look(path: &Utf8Path, known: &Known) -> Result<Found> {
    let file = File::open(path).with_context(|| format!("open {path}"))?;
    let disk = Disk::look_at(path, SectorSize::B512).with_context(|| format!("open {path}"))?;
    let Some(table) = Table::read(&disk).with_context(|| format!("read the table of {path}"))? else {
        let system = System::None("there is no partition table".to_owned());
        return Ok(Found { system, state: State::Absent });
    };
    let state = match table.find(labels::STATE) {
        Some(partition) => state::look(&file, partition, &path.with_extension("state"), &known.config)?,
        None => State::Absent,
    };
    Ok(Found { system: system(&file, &disk, &table, known)?, state })
}

/// What firmware finds by the type of the partition, and everything behind it by its name.
fn system(file: &File, disk: &Disk, table: &Table, known: &Known) -> Result<System> {
    let efi = table.partitions.iter().find(|partition| partition.type_guid == TYPE_EFI);
    let Some(efi) = efi else { return Ok(System::None("there is no EFI partition".to_owned())) };
    let files = match esp::read(file, efi.range()) {
        Ok(files) => files,
        Err(error) => return Ok(System::None(format!("the EFI partition cannot be read: {error}"))),
    };
    let Some(loader) = files.loader else {
        return Ok(System::None("the EFI partition has no boot loader".to_owned()));
    };
    if loader != known.loader {
        return Ok(System::Broken("the boot loader is damaged".to_owned()));
    }
    let first = files.kernel_images.iter().map(|(name, _)| name).min_by(|a, b| boot_order(a, b));
    let Some(first) = first else { return Ok(System::Broken("there is no kernel image".to_owned())) };
    for (name, bytes) in &files.kernel_images {
        if let Some(problem) = version_problem(disk, table, known, name, bytes)? {
            return Ok(System::Broken(format!("{name}: {problem}")));
        }
    }
    match meta_problem(file, table)? {
        Some(problem) => Ok(System::Broken(problem)),
        None => Ok(System::Whole(first.version.to_string())),
    }
}

/// Why an entry leads to no whole version. Those that are not chosen are the way back, so they count too: the entry of a
/// slot goes before the slot is written.
fn version_problem(
    disk: &Disk,
    table: &Table,
    known: &Known,
    name: &EntryName,
    kernel_image: &[u8],
) -> Result<Option<&'static str>> {
    let version = known.versions.iter().find(|version| version.kernel_image == kernel_image);
    let Some(version) = version else { return Ok(Some("the kernel image is damaged")) };
    if name.version.to_string() != version.name {
        return Ok(Some("it is named after another version"));
    }
    // The initramfs finds its root by this UUID, and by nothing else.
    let uuid = slot::uuid(&version.root_hash).context("a version has no root hash")?;
    let slot = table.partitions.iter().find(|partition| partition.guid == uuid);
    let Some(slot) = slot else { return Ok(Some("no slot has its UUID")) };
    let same = holds(disk, slot, &version.root).with_context(|| format!("read {}", version.root))?;
    Ok((!same).then_some("its slot is damaged"))
}

/// Whether a partition begins with the content of a file. This says more than a hash, and is quicker.
fn holds(disk: &Disk, partition: &Partition, image: &Utf8Path) -> io::Result<bool> {
    let image = File::open(image)?;
    let length = image.metadata()?.len();
    if length > partition.length {
        return Ok(false);
    }
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < length {
        let part = usize::try_from(CHUNK.min(length - at)).map_err(io::Error::other)?;
        wanted.resize(part, 0);
        found.resize(part, 0);
        image.read_exact_at(&mut wanted, at)?;
        disk.read_at(&mut found, partition.start + at)?;
        if wanted != found {
            return Ok(false);
        }
        at += CHUNK;
    }
    Ok(true)
}

fn meta_problem(file: &File, table: &Table) -> Result<Option<String>> {
    let Some(partition) = table.find(labels::META) else { return Ok(Some("there is no META".to_owned())) };
    match corten_meta::read(&Part { file, partition }) {
        Ok(_) => Ok(None),
        Err(error @ MetaError::Io { .. }) => Err(error.into()),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// A partition of a disk's file, to read.
struct Part<'a> {
    file: &'a File,
    partition: &'a Partition,
}

impl corten_meta::Device for Part<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.partition.start + offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.partition.length)
    }
}
