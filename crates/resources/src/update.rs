//! Slots and updates.
//!
//! `SlotStatus` is written by the slots controller from what the disk says; `UpdateStatus` by the gate, which also
//! decides whether the running slot stays.

use corten_store::{Kind, Store};
use serde::{Deserialize, Serialize};

/// One of the two places for a root image. The id is the partition's label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Kernel name of the partition's device node, such as `/dev/vda3`.
    pub device: String,
    /// Version of the image; empty when the slot holds none that can boot.
    pub version: String,
    /// Root hash of the image, hexadecimal; empty when the slot holds none that can boot.
    pub root_hash: String,
    /// The running root is on it.
    pub running: bool,
    /// The boot loader takes it next.
    pub next: bool,
    /// It was healthy once, and boots without counting.
    pub blessed: bool,
    /// Tries that the boot loader has left; meaningless once it is blessed.
    pub tries_left: u32,
    /// Tries that were used.
    pub tries_done: u32,
    /// File name on the EFI partition.
    pub entry: String,
    /// Config generation that it ran with last; 0 when not known.
    pub config_generation: u64,
    /// Why the node refuses to boot it again; empty when it does not.
    pub refused: String,
}

/// One thing that a trial boot has to show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GateCheck {
    /// What is looked at: `api`, `service etcd`, `node-ready`.
    pub name: String,
    /// Whether it is in order.
    pub passed: bool,
    /// Why not.
    pub message: String,
}

/// Where the health gate of this boot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatePhase {
    /// This boot is not a trial.
    #[default]
    None,
    /// Not everything is in order yet.
    Waiting,
    /// The running slot stays.
    Passed,
    /// The deadline passed; the machine restarts.
    Failed,
}

impl GatePhase {
    /// As the API writes it; empty when this boot is not a trial.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Waiting => "waiting",
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

/// The trial of a new version. The only resource has the id `machine`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// Where the gate stands.
    pub phase: GatePhase,
    /// What it looks at.
    pub checks: Vec<GateCheck>,
    /// When this boot counts as failed, milliseconds since 1970; 0 when it cannot any more.
    pub deadline_unix_ms: i64,
    /// What happened to the last update, for a person to read; empty when nothing did.
    pub message: String,
}

impl Kind for SlotStatus {
    const NAME: &'static str = "SlotStatus";
    const NAMESPACE: &'static str = "update";
    const ALIASES: &'static [&'static str] = &["slotstatus", "slots", "slot"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("VERSION", "/version"),
            ("RUNNING", "/running"),
            ("NEXT", "/next"),
            ("BLESSED", "/blessed"),
            ("TRIES LEFT", "/tries_left"),
            ("REFUSED", "/refused"),
            ("ENTRY", "/entry"),
        ]
    }
}

impl Kind for UpdateStatus {
    const NAME: &'static str = "UpdateStatus";
    const NAMESPACE: &'static str = "update";
    const ALIASES: &'static [&'static str] = &["updatestatus", "update"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("PHASE", "/phase"), ("CHECKS", "/checks"), ("MESSAGE", "/message")]
    }
}

/// Makes the kinds of this area known to the API.
pub fn register(store: &Store) {
    store.register::<SlotStatus>();
    store.register::<UpdateStatus>();
}
