//! `UpdatePolicy`: when an update counts as good.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::{span, text};

/// When a new version of the system counts as good, and how often it is tried. At most one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatePolicy {
    /// How long a boot of a new version may take until the node is healthy; after that the boot counts as failed and
    /// the machine starts again. A duration, 30s to 1h. Example: `5m`.
    #[serde(default = "health_deadline", with = "span")]
    #[schemars(with = "text::HealthDeadline", extend("x-effect" = "live"))]
    pub health_deadline: Duration,
    /// How many boots a new version has before the old one comes back, 1 to 9. It holds for updates that are written
    /// after the change. Example: `1`.
    #[serde(default = "tries")]
    #[schemars(range(min = 1, max = 9), extend("x-effect" = "live"))]
    pub tries: u8,
    /// How long the node must stay healthy before the new version is kept. A duration, 0s to 10m. Example: `1m`.
    #[serde(default = "soak", with = "span")]
    #[schemars(with = "text::Soak", extend("x-effect" = "live"))]
    pub soak: Duration,
}

impl Default for UpdatePolicy {
    fn default() -> Self {
        Self { health_deadline: health_deadline(), tries: tries(), soak: soak() }
    }
}

fn health_deadline() -> Duration {
    Duration::from_secs(600)
}

fn tries() -> u8 {
    3
}

fn soak() -> Duration {
    Duration::from_secs(10)
}
