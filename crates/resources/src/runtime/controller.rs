//! What each controller did last.

use corten_store::{Kind, Timestamp};
use serde::{Deserialize, Serialize};

/// How a controller is doing; the id is its name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ControllerStatus {
    /// How often it reconciled.
    pub runs: u64,
    /// How many of those failed, panics included.
    pub failures: u64,
    /// How many of the failures were panics.
    pub panics: u64,
    /// When the last run ended.
    pub last_run: Option<Timestamp>,
    /// How long the last run took, in milliseconds.
    pub last_duration_ms: u64,
    /// Why it ran: `start`, `requeue`, `retry`, `wake`, or the kinds that changed.
    pub woken_by: String,
    /// How the last run failed; empty when it did not.
    pub last_error: String,
    /// Pause before the next attempt after a failure, in milliseconds.
    pub backoff_ms: u64,
}

impl Kind for ControllerStatus {
    const NAME: &'static str = "ControllerStatus";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &["controllerstatus", "controllers"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("RUNS", "/runs"),
            ("FAILURES", "/failures"),
            ("LAST RUN", "/last_run"),
            ("WOKEN BY", "/woken_by"),
            ("LAST ERROR", "/last_error"),
        ]
    }
}
