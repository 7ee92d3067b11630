//! What is remembered of a boot.

use serde::{Deserialize, Serialize};

use crate::records::Extra;

/// One boot, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootRecord {
    /// Counts boots; the ring sets it.
    pub sequence: u64,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Version that was booted.
    pub version: String,
    /// Root hash of its image, hexadecimal.
    pub root_hash: String,
    /// When it started, milliseconds since 1970.
    pub started_unix_ms: i64,
    /// When the record was last refreshed, milliseconds since 1970.
    pub updated_unix_ms: i64,
    /// Stage of the machine that was reached.
    pub stage: String,
    /// What kept the machine from being ready.
    pub unmet: Vec<String>,
    /// How it ended, such as "reboot", "fatal: …" or "health gate: …"; absent when it was cut off.
    pub ended: Option<String>,
    /// The end of the kernel's log. Its oldest lines go when the record would not fit.
    pub kernel_log: String,
    /// What the kernel left in pstore when it went down. Its oldest lines go after those of the kernel's log.
    pub pstore: String,
    /// Fields of versions to come.
    #[serde(flatten)]
    pub extra: Extra,
}
