//! Installation to a disk. Exists only on an install medium; the install controller writes it.

use corten_store::{Kind, Store};
use serde::{Deserialize, Serialize};

/// Where the installation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallPhase {
    /// It waits for a config that names a disk.
    #[default]
    Waiting,
    /// A disk is being written.
    Running,
    /// The machine restarts from the disk.
    Finished,
    /// It broke off, and can be started again.
    Failed,
}

/// The installation. The only resource has the id [`crate::runtime::MACHINE`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InstallStatus {
    /// Where it stands.
    pub phase: InstallPhase,
    /// Kernel name of the device that the system runs from.
    pub medium: String,
    /// Device node of the disk that is written.
    pub disk: String,
    /// Stable name of the step: `write-root`.
    pub step: String,
    /// The step in words.
    pub message: String,
    /// Bytes of the step that are done.
    pub done: u64,
    /// Bytes of the step; 0 when it is not counted in bytes.
    pub total: u64,
    /// Bytes in a second; 0 when not known yet.
    pub rate: u64,
    /// Until the end of the step; 0 when not known.
    pub remaining_ms: u64,
    /// Why it broke off, with its causes.
    pub error: String,
    /// What can be done about it.
    pub hint: String,
}

impl Kind for InstallStatus {
    const NAME: &'static str = "InstallStatus";
    const NAMESPACE: &'static str = "block";
    const ALIASES: &'static [&'static str] = &["installstatus", "install"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("PHASE", "/phase"),
            ("DISK", "/disk"),
            ("STEP", "/step"),
            ("DONE", "/done"),
            ("TOTAL", "/total"),
            ("MESSAGE", "/message"),
            ("ERROR", "/error"),
        ]
    }
}

/// Makes the kind known.
pub fn register(store: &Store) {
    store.register::<InstallStatus>();
}
