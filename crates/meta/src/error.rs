//! What goes wrong with META.

use std::io;
use std::path::PathBuf;

use crate::frame::FrameError;

/// Why META could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The partition could not be opened.
    #[error("open the META partition {path}")]
    Open {
        /// Path of the partition.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The device is not large enough to be META.
    #[error("the META partition has {found} bytes and needs {needed}")]
    TooSmall {
        /// Bytes that it has.
        found: u64,
        /// Bytes that it needs.
        needed: u64,
    },
    /// Neither copy can be used, and at least one of them once could.
    #[error("both copies of META are damaged; copy A: {a}; copy B: {b}")]
    Damaged {
        /// What is wrong with copy A.
        a: FrameError,
        /// What is wrong with copy B.
        b: FrameError,
    },
    /// A newer version wrote it.
    #[error(
        "META was written in format {found}, and this version knows formats up to {known}; it is left as it is"
    )]
    NewerFormat {
        /// Major number of the format that was found.
        found: u16,
        /// The newest that is understood.
        known: u16,
    },
    /// What a key may consist of.
    #[error("{key:?} is not a META key: 1 to 128 of a-z, 0-9, '.', '/' and '-'")]
    Key {
        /// The refused key.
        key: String,
    },
    /// The value of a key does not have the shape that this version expects.
    #[error("understand META key {key}")]
    Value {
        /// The key.
        key: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// There is more than fits.
    #[error("META would need {needed} bytes, and a copy holds {limit}")]
    TooLarge {
        /// Bytes that it would need.
        needed: u64,
        /// Bytes that a copy holds.
        limit: u64,
    },
    /// Reading or writing failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}
