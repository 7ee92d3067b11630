//! What the supervisor sees of a service.

use std::fmt;

use corten_store::{Kind, Timestamp};
use serde::{Deserialize, Serialize};

/// State of a service; the id is its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Where it is.
    pub state: ServiceState,
    /// Whether others may rely on it.
    pub ready: bool,
    /// Process, while there is one.
    pub pid: Option<i32>,
    /// When it came into this state.
    pub since: Timestamp,
    /// How often it was started again after it ended by itself.
    pub restarts: u64,
    /// How it ended the last time.
    pub last_exit: Option<String>,
    /// What it waits for.
    pub waiting_for: Vec<String>,
    /// The state in words.
    pub message: String,
}

impl Kind for ServiceStatus {
    const NAME: &'static str = "ServiceStatus";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &["servicestatus", "services", "service", "svc"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("STATE", "/state"),
            ("READY", "/ready"),
            ("PID", "/pid"),
            ("RESTARTS", "/restarts"),
            ("SINCE", "/since"),
            ("MESSAGE", "/message"),
        ]
    }
}

/// Where a service is in its life.
///
/// ```text
/// Waiting → Preparing → Starting → Ready ⇄ Unhealthy
///    ↑                      └────────┴─────────┴──→ Backoff | Failing → Waiting
///    └ start ── Stopped ← Stopping ←── stop, restart, or a changed spec        Finished: ended, not to be restarted
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// Something that it requires is not there.
    #[default]
    Waiting,
    /// Its directories and cgroup are being made.
    Preparing,
    /// It runs and is not ready yet.
    Starting,
    /// It runs and does its work.
    Ready,
    /// It was ready and does not answer any more.
    Unhealthy,
    /// It ended; the pause before the next start.
    Backoff,
    /// It was asked to end.
    Stopping,
    /// It does not run, because somebody wants it so.
    Stopped,
    /// It ended by itself and is not to be restarted.
    Finished,
    /// It ended too often; the longest pause before the next start.
    Failing,
}

impl ServiceState {
    /// As the API and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Failing => "failing",
        }
    }

    /// Whether there is a process.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Unhealthy | Self::Stopping)
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
