//! Writes a system to a disk.
//!
//! ```text
//! mark ─ erase ─ write-root ─ write-esp ─ erase-meta ─ verify ─ write-table ─ ( what the caller adds ) ─ finish
//! ```
//! The mark is on the medium before anything else is changed, and the table is written when all the rest was read back. The
//! first sector of the EFI partition is held back until the very end: without it no firmware finds a file system there,
//! and it is a single write. So wherever power is cut, the disk is marked as unfinished and does not boot, or it is
//! complete, with what the caller added; and the installation can be started again from its beginning. A disk that held a
//! system before is that system until the mark is there.

mod plan;

use std::fmt;
use std::io::{self, Read, Seek};
use std::ops::{ControlFlow, Range};

use corten_constants::labels;
pub use plan::{Identities, Plan, PlanError};

use crate::device::{Buffer, Device};
use crate::esp::Volume;
use crate::layout::ALIGNMENT;
use crate::slot::{Slot, SlotError};
use crate::table::TableError;
use crate::{marker, wipe};

/// How much may be written before it has to be on the medium: so progress is true, and memory is not filled.
const SYNC_EVERY: u64 = 64 << 20;

/// An image that can be read from its beginning a second time.
pub trait Image: Read + Seek {}

impl<T: Read + Seek> Image for T {}

/// What is written.
#[expect(missing_debug_implementations, reason = "a reader need not have one")]
pub struct Source<'a> {
    /// The root image, with its hash tree. It is read twice: to be written, and to be compared with what was.
    pub root: &'a mut dyn Image,
    /// Its bytes.
    pub root_size: u64,
    /// Paths and contents of files on the EFI partition.
    pub esp: &'a [(&'a str, &'a [u8])],
}

/// A part of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The disk is marked as unfinished.
    Mark,
    /// Old tables and file systems are made unknown.
    Erase,
    /// The root image is written.
    WriteRoot,
    /// Boot loader and kernel are written.
    WriteEsp,
    /// META is made empty.
    EraseMeta,
    /// Everything is read back.
    Verify,
    /// The partition table is written.
    WriteTable,
    /// The disk becomes bootable, and the mark is taken away.
    Finish,
}

impl Step {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mark => "mark",
            Self::Erase => "erase",
            Self::WriteRoot => "write-root",
            Self::WriteEsp => "write-esp",
            Self::EraseMeta => "erase-meta",
            Self::Verify => "verify",
            Self::WriteTable => "write-table",
            Self::Finish => "finish",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mark => "marking the disk",
            Self::Erase => "erasing what was on it",
            Self::WriteRoot => "writing the system",
            Self::WriteEsp => "writing boot loader and kernel",
            Self::EraseMeta => "emptying META",
            Self::Verify => "reading back",
            Self::WriteTable => "writing the partition table",
            Self::Finish => "finishing",
        })
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The part.
    pub step: Step,
    /// Bytes of it that are done.
    pub done: u64,
    /// Bytes of it; 0 when they are not counted.
    pub total: u64,
}

/// Takes note of the progress, and says whether to go on.
pub type Report<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Why a disk was not written.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The plan was made for another one.
    #[error("the plan is for a disk of {planned} bytes, but this one has {found}")]
    OtherDisk {
        /// Bytes in the plan.
        planned: u64,
        /// Bytes of the disk.
        found: u64,
    },
    /// The root image is too large.
    #[error("the root image does not fit")]
    Root(#[source] SlotError),
    /// The files do not fit on the EFI partition.
    #[error("make the EFI partition")]
    Esp(#[source] io::Error),
    /// The root image cannot be read, or ends too early.
    #[error("read the root image")]
    Source(#[source] io::Error),
    /// The disk.
    #[error("the disk failed when {}", .0)]
    Disk(Step, #[source] io::Error),
    /// The disk gives other bytes than it was given.
    #[error("the disk does not keep what is written to it: {0} reads back differently")]
    Differs(&'static str),
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The caller did not want to go on.
    #[error("the installation was given up")]
    GivenUp,
}

/// A disk that holds everything and does not boot yet.
#[derive(Debug)]
#[must_use = "the disk does not boot before it is made bootable"]
pub struct Written {
    /// The first sector of the EFI partition, and where it belongs.
    sector: Vec<u8>,
    at: u64,
}

impl Written {
    /// Makes the disk bootable: the end of the installation.
    ///
    /// # Errors
    /// When the disk fails or gives other bytes back, or `report` says no.
    pub fn make_bootable<D: Device + ?Sized>(
        &self,
        device: &D,
        report: Report<'_>,
    ) -> Result<(), InstallError> {
        let mut writer = Writer { device, report, step: Step::Finish };
        writer.step(Step::Finish, |device| {
            device.write_at(&self.sector, self.at)?;
            device.sync()
        })?;
        if !writer.reads_back(&self.sector, self.at, &mut Buffer::new())? {
            return Err(InstallError::Differs("the EFI partition"));
        }
        marker::erase(device).map_err(|error| InstallError::Disk(Step::Finish, error))
    }
}

/// Installs. It can be started again after any failure.
///
/// # Errors
/// When something does not fit, the disk fails or gives other bytes back, or `report` says no.
pub fn run<D: Device + ?Sized>(
    device: &D,
    plan: &Plan,
    source: Source<'_>,
    report: Report<'_>,
) -> Result<(), InstallError> {
    write(device, plan, source, report)?.make_bootable(device, report)
}

/// Installs all but the end: what belongs on the disk before it may boot can be added now. It can be started again after any
/// failure.
///
/// # Errors
/// When something does not fit, the disk fails or gives other bytes back, or `report` says no.
pub fn write<D: Device + ?Sized>(
    device: &D,
    plan: &Plan,
    source: Source<'_>,
    report: Report<'_>,
) -> Result<Written, InstallError> {
    if (plan.size, plan.sector_size) != (device.size(), device.sector_size()) {
        return Err(InstallError::OtherDisk { planned: plan.size, found: device.size() });
    }
    let [efi, meta, root] = [labels::EFI, labels::META, labels::ROOT_A].map(|label| plan.range(label));
    // All that can be known to fail does so before the disk is touched.
    let slot = Slot::new(device, root);
    if source.root_size > slot.capacity() {
        let (image, slot) = (source.root_size, slot.capacity());
        return Err(InstallError::Root(SlotError::TooLarge { image, slot }));
    }
    let volume = Volume::with_files(efi.end - efi.start, device.sector_size(), source.esp);
    let mut volume = volume.map_err(InstallError::Esp)?;
    let sector = volume.hold_back(device.sector_size().length());

    let mut writer = Writer { device, report, step: Step::Mark };
    writer.step(Step::Mark, |device| marker::write(device, plan.table.guid))?;
    writer.step(Step::Erase, |device| erase(device, plan))?;
    writer.root(&slot, source.root, source.root_size)?;
    writer.esp(&volume, efi.start)?;
    writer.step(Step::EraseMeta, |device| device.zero(meta).and_then(|()| device.sync()))?;
    writer.verify(&slot, source.root, source.root_size, &volume, efi.start)?;
    writer.begin(Step::WriteTable, 0)?;
    plan.table.write(device)?;
    Ok(Written { sector, at: efi.start })
}

impl Plan {
    /// Nothing for a label that is not in the layout; nothing fits there.
    fn range(&self, label: &str) -> Range<u64> {
        self.table.find(label).map_or(0..0, super::table::Partition::range)
    }
}

/// First the tables, and when they are gone, what makes old file systems known: those of partitions that the node will make
/// too.
fn erase<D: Device + ?Sized>(device: &D, plan: &Plan) -> io::Result<()> {
    let sector = device.sector_size().bytes();
    device.zero(0..marker::OFFSET)?;
    device.zero(marker::OFFSET + sector..ALIGNMENT)?;
    device.zero(plan.size - ALIGNMENT..plan.size)?;
    device.sync()?;
    for extent in &plan.extents {
        let range = extent.start..extent.start + extent.length;
        wipe::headers(device, range)?;
    }
    device.sync()
}

/// The steps that count bytes.
struct Writer<'a, 'r, D: Device + ?Sized> {
    device: &'a D,
    report: Report<'r>,
    step: Step,
}

impl<D: Device + ?Sized> Writer<'_, '_, D> {
    fn tell(&mut self, done: u64, total: u64) -> Result<(), InstallError> {
        match (self.report)(Progress { step: self.step, done, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(InstallError::GivenUp),
        }
    }

    fn begin(&mut self, step: Step, total: u64) -> Result<(), InstallError> {
        self.step = step;
        self.tell(0, total)
    }

    fn step(&mut self, step: Step, work: impl FnOnce(&D) -> io::Result<()>) -> Result<(), InstallError> {
        self.begin(step, 0)?;
        work(self.device).map_err(|error| InstallError::Disk(step, error))
    }

    fn sync(&self) -> Result<(), InstallError> {
        self.device.sync().map_err(|error| InstallError::Disk(self.step, error))
    }

    fn root(&mut self, slot: &Slot<'_, D>, image: &mut dyn Image, size: u64) -> Result<(), InstallError> {
        self.begin(Step::WriteRoot, size)?;
        let mut piece = Buffer::new();
        let mut done = 0;
        while done < size {
            let bytes = next(image, &mut piece, size - done)?;
            slot.write(done, bytes).map_err(|error| slot_error(self.step, error))?;
            done += bytes.len() as u64;
            if done.is_multiple_of(SYNC_EVERY) {
                self.sync()?;
            }
            self.tell(done, size)?;
        }
        self.sync()
    }

    fn esp(&mut self, volume: &Volume, start: u64) -> Result<(), InstallError> {
        let total = volume.stored();
        self.begin(Step::WriteEsp, total)?;
        let (mut done, mut synced) = (0, 0);
        for (at, piece) in volume.pieces() {
            self.device
                .write_at(piece, start + at)
                .map_err(|error| InstallError::Disk(Step::WriteEsp, error))?;
            done += piece.len() as u64;
            if done - synced >= SYNC_EVERY {
                self.sync()?;
                synced = done;
            }
            self.tell(done, total)?;
        }
        self.sync()
    }

    fn verify(
        &mut self,
        slot: &Slot<'_, D>,
        image: &mut dyn Image,
        size: u64,
        volume: &Volume,
        esp: u64,
    ) -> Result<(), InstallError> {
        let total = size + volume.stored();
        self.begin(Step::Verify, total)?;
        image.rewind().map_err(InstallError::Source)?;
        let (mut piece, mut found, mut done) = (Buffer::new(), Buffer::new(), 0);
        while done < size {
            let bytes = next(image, &mut piece, size - done)?;
            let read = found.first(bytes.len());
            slot.read_back(done, read).map_err(|error| slot_error(self.step, error))?;
            if read != bytes {
                return Err(InstallError::Differs("the root image"));
            }
            done += bytes.len() as u64;
            self.tell(done, total)?;
        }
        for (at, piece) in volume.pieces() {
            if !self.reads_back(piece, esp + at, &mut found)? {
                return Err(InstallError::Differs("the EFI partition"));
            }
            done += piece.len() as u64;
            self.tell(done, total)?;
        }
        Ok(())
    }

    /// Whether the medium gives these bytes back, at most as many as a [`Buffer`] holds.
    fn reads_back(&self, bytes: &[u8], at: u64, found: &mut Buffer) -> Result<bool, InstallError> {
        let found = found.first(bytes.len());
        let read = self.device.read_medium(found, at);
        read.map_err(|error| InstallError::Disk(self.step, error))?;
        Ok(found == bytes)
    }
}

/// The next piece of an image of which `left` bytes are left.
fn next<'a>(image: &mut dyn Image, piece: &'a mut Buffer, left: u64) -> Result<&'a [u8], InstallError> {
    let bytes = piece.first(usize::try_from(left).unwrap_or(usize::MAX));
    image.read_exact(bytes).map_err(InstallError::Source)?;
    Ok(bytes)
}

fn slot_error(step: Step, error: SlotError) -> InstallError {
    match error {
        SlotError::Disk { source, .. } => InstallError::Disk(step, source),
        large @ SlotError::TooLarge { .. } => InstallError::Root(large),
    }
}

#[cfg(test)]
mod tests;
