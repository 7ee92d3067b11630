//! The file that the console shows: what `runtime/machine_status` writes.

use serde::Deserialize;

/// State of the node. Unknown fields are ignored, and missing ones are empty: a console that shows less is better than
/// none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Snapshot {
    pub(super) version: String,
    pub(super) stage: String,
    pub(super) ready: bool,
    pub(super) hostname: String,
    pub(super) addresses: Vec<String>,
    /// SHA-256 of the API's certificate, in maintenance only: the operator compares it.
    pub(super) fingerprint: Option<String>,
    pub(super) services: Vec<Service>,
    pub(super) unmet: Vec<Unmet>,
    /// On an install medium only.
    pub(super) install: Option<Install>,
    /// A sentence for each disk with an installed system, on an install medium only.
    pub(super) installed: Vec<String>,
    /// A sentence for each slot, and for an update on trial.
    pub(super) update: Vec<String>,
}

/// How the installation goes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Install {
    pub(super) phase: String,
    pub(super) disk: String,
    pub(super) message: String,
    pub(super) done: u64,
    pub(super) total: u64,
    /// Bytes in a second.
    pub(super) rate: u64,
    pub(super) remaining_ms: u64,
}

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) state: String,
}

/// Something that keeps the node from being ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(super) struct Unmet {
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) hint: String,
}
