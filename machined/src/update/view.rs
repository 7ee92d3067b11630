//! What the handle takes and gives: plain data.

use corten_meta::records::{Denied, FailedUpdate, PendingUpdate};
use corten_resources::update::SlotStatus;

use super::preflight::Problem;

/// What the disk says, all at once.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Both slots.
    pub slots: Vec<(String, SlotStatus)>,
    /// The update that is going on.
    pub pending: Option<PendingUpdate>,
    /// Versions that failed.
    pub denied: Vec<Denied>,
    /// The last one that did not stay.
    pub failure: Option<FailedUpdate>,
}

impl View {
    /// The slot that runs.
    pub fn running(&self) -> Option<&SlotStatus> {
        self.slots.iter().map(|(_, slot)| slot).find(|slot| slot.running)
    }
}

/// Answer to a header.
#[derive(Debug, Clone)]
pub struct Begun {
    /// What speaks against it.
    pub problems: Vec<Problem>,
    /// Name of the transfer.
    pub upload: String,
    /// Where to go on.
    pub offset: u64,
    /// Bytes of the payload.
    pub total: u64,
    /// Version of the bundle.
    pub version: String,
}

/// How the machine was before the update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Names of conditions that were unmet.
    pub unmet: Vec<String>,
    /// Services that were ready.
    pub ready: Vec<String>,
    /// Config generation in force.
    pub config_generation: u64,
}
