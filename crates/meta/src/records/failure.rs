//! The last update that did not stay.

use serde::{Deserialize, Serialize};

use super::{Extra, Record};

/// What is known about a failed update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailedUpdate {
    /// Version that failed.
    pub version: String,
    /// Version that runs instead.
    pub from_version: String,
    /// The failed check, the panic, or the step that was reached.
    pub reason: String,
    /// Boots that were tried.
    pub tries: u32,
    /// When it was given up, milliseconds since 1970.
    pub time_unix_ms: i64,
    /// Last lines of the kernel's log of the last try.
    pub kernel_log: Vec<String>,
    /// Fields of versions to come.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Record for FailedUpdate {
    const KEY: &'static str = "update.failure";
}
