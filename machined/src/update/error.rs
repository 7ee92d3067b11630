//! Why an update does not go on.

use corten_bundle::{BundleError, TrustError};
use corten_meta::MetaError;
use installer::entry::EntryNameError;
use installer::table::TableError;

use super::esp::EspError;
use super::system::SystemError;
use super::transfer::TransferError;
use super::verify::VerifyError;
use crate::boot::cmdline::RootHashError;

/// Why an update does not go on.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// No system disk.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The bundle.
    #[error("read the update bundle")]
    Bundle(#[from] BundleError),
    /// The keys in this image.
    #[error("read the keys that this image trusts")]
    Trust(#[from] TrustError),
    /// The transfer.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The EFI partition.
    #[error(transparent)]
    Esp(#[from] EspError),
    /// META.
    #[error("keep track of the update on META")]
    Meta(#[from] MetaError),
    /// What was written is not what was meant.
    #[error("verify the written slot")]
    Verify(#[from] VerifyError),
    /// Root and kernel image do not belong together.
    #[error("the kernel image of the bundle asks for the root {named}, and its manifest names {meant}")]
    OtherRoot {
        /// By the kernel's command line.
        named: String,
        /// By the manifest.
        meant: String,
    },
    /// The table.
    #[error("name the slot in the partition table")]
    Table(#[from] TableError),
    /// The disk itself.
    #[error("open the disk {path}")]
    Disk {
        /// Device node.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A root hash.
    #[error("read the root hash of the bundle")]
    RootHash(#[from] RootHashError),
    /// A partition's UUID.
    #[error("derive the partition's UUID")]
    Uuid(#[from] uuid::Error),
    /// A version that cannot be in a file name.
    #[error("name the boot entry")]
    Entry(#[from] EntryNameError),
    /// No such transfer.
    #[error("there is no transfer {0}")]
    NoTransfer(String),
    /// Two senders of one bundle.
    #[error("somebody else is sending this bundle")]
    Sending,
    /// The partition for it is missing.
    #[error("the running slot is not in the partition table of the system disk")]
    NoTarget,
    /// Nothing to go back to.
    #[error("the other slot holds no version that could boot")]
    NothingToRollBackTo,
    /// The worker died.
    #[error("the work on the disk was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}
