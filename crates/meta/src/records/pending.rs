//! The update that is under way.

use serde::{Deserialize, Serialize};

use super::{Extra, Record};

/// An update from its first written byte until it is kept or given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PendingUpdate {
    /// Version that is to run.
    pub version: String,
    /// Version that ran when it began.
    pub from_version: String,
    /// Label of the slot that it goes to: `ROOT-A` or `ROOT-B`.
    pub slot: String,
    /// Root hash of its image, hexadecimal.
    pub root_hash: String,
    /// Name of its file on the EFI partition; empty until it is staged.
    pub entry: String,
    /// How far it is.
    pub phase: Phase,
    /// What kept the node from being ready before the update: the health gate does not ask for it.
    pub baseline_unmet: Vec<String>,
    /// Services that were ready before the update: the health gate asks for each of them.
    pub baseline_ready: Vec<String>,
    /// Config generation in force when it began.
    pub config_generation: u64,
    /// When it began, milliseconds since 1970.
    pub started_unix_ms: i64,
    /// Why its last try ended, if that is known; empty before.
    pub reason: String,
    /// Fields of versions to come.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Record for PendingUpdate {
    const KEY: &'static str = "update.pending";
}

/// How far an update is.
///
/// ```text
/// writing ─ written ─ staged ─ trial ─ (kept: the record goes)
///    └─────────┴─────────┴────────┴─── (given up: the record goes)
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The slot is being written.
    #[default]
    Writing,
    /// The slot is written and was read back.
    Written,
    /// Its kernel image is on the EFI partition: the next boot takes it.
    Staged,
    /// It was booted and is not healthy yet.
    Trial,
    /// A phase of a version to come.
    #[serde(untagged)]
    Other(String),
}

impl Phase {
    /// Its name, as the API shows it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Writing => "writing",
            Self::Written => "written",
            Self::Staged => "staged",
            Self::Trial => "trial",
            Self::Other(name) => name,
        }
    }
}
