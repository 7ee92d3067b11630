//! A bundle's payload on its way into the other slot and onto the EFI partition: no copy anywhere else.
//!
//! Bytes come in order. What is broken off goes on where it stopped, as long as the machine stays up: how far it is, and
//! the hash up to there, are in memory; the disk holds nothing that could boot until all of it was checked.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use corten_bundle::{BundleError, Check, Manifest, Part, Payload};

use super::esp::{Esp, EspError};
use super::slots::SlotPartition;

/// Written data is pushed to the disk in steps of this many bytes, so that the last sync is not a long one.
const SYNC_STEP: u64 = 64 << 20;

/// Why the payload cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Not where the last piece ended.
    #[error("the next byte is {expected}, but the piece begins at {offset}")]
    Offset {
        /// Where to go on.
        expected: u64,
        /// What came.
        offset: u64,
    },
    /// Not what was signed, or not all of it.
    #[error("check the payload of the bundle")]
    Payload(#[from] BundleError),
    /// The slot.
    #[error("write to the slot {label}")]
    Slot {
        /// Its label.
        label: String,
        /// Cause.
        source: io::Error,
    },
    /// The kernel image.
    #[error("write the kernel image")]
    Uki(#[source] io::Error),
    /// The EFI partition.
    #[error(transparent)]
    Esp(#[from] EspError),
}

/// A transfer that was begun.
#[derive(Debug)]
pub struct Transfer {
    /// What is coming.
    pub manifest: Manifest,
    slot: SlotPartition,
    root: File,
    uki: File,
    /// Keeps the EFI partition mounted while the kernel image is open. It must be dropped after that: fields go in order.
    _esp: Esp,
    check: Check,
    synced: u64,
}

impl Transfer {
    /// Opens the slot and a file for the kernel image. Nothing is written yet.
    ///
    /// # Errors
    /// When the slot or the EFI partition cannot be opened.
    pub fn begin(manifest: Manifest, slot: SlotPartition, esp: Esp) -> Result<Self, TransferError> {
        let open = OpenOptions::new().write(true).open(&slot.device);
        let root = open.map_err(|source| TransferError::Slot { label: slot.label.clone(), source })?;
        let uki = esp.incoming()?;
        let check = Check::new(Payload::new(&manifest));
        Ok(Self { manifest, slot, root, uki, _esp: esp, check, synced: 0 })
    }

    /// Bytes that are here.
    pub fn offset(&self) -> u64 {
        self.check.position()
    }

    /// Bytes that there will be.
    pub fn total(&self) -> u64 {
        Payload::new(&self.manifest).len()
    }

    /// Where it goes.
    pub fn slot(&self) -> &SlotPartition {
        &self.slot
    }

    /// Takes the next piece. After an error it has to begin anew, unless the piece was only not the next one.
    ///
    /// # Errors
    /// When it is not the next one, or does not fit, or ends a part whose hash is wrong; or the disk refuses it.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), TransferError> {
        if offset != self.offset() {
            return Err(TransferError::Offset { expected: self.offset(), offset });
        }
        for piece in self.check.push(bytes)? {
            match piece.part {
                Part::Root => {
                    let slot = |source| TransferError::Slot { label: self.slot.label.clone(), source };
                    self.root.write_all_at(piece.bytes, piece.offset).map_err(slot)?;
                    if piece.offset - self.synced >= SYNC_STEP {
                        self.root.sync_data().map_err(slot)?;
                        self.synced = piece.offset;
                    }
                }
                Part::Uki => self.uki.write_all_at(piece.bytes, piece.offset).map_err(TransferError::Uki)?,
            }
        }
        Ok(())
    }

    /// All of it is here and on the disk.
    ///
    /// # Errors
    /// When something is missing, or the disk refuses.
    pub fn finish(&mut self) -> Result<(), TransferError> {
        self.check.finish()?;
        let slot = |source| TransferError::Slot { label: self.slot.label.clone(), source };
        self.root.sync_all().map_err(slot)?;
        self.uki.sync_all().map_err(TransferError::Uki)
    }
}
