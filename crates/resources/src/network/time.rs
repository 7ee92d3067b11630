//! Time servers and the state of the clock.

use corten_store::Kind;
use serde::{Deserialize, Serialize};

use super::Layer;

/// Time servers. Id: `layer`, or `dhcp/link`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeServerSpec {
    /// Names or addresses. An empty list leaves the matter to the lower layers.
    pub servers: Vec<String>,
    /// Whether the clock is to be kept at all. The highest layer decides.
    pub enabled: bool,
    /// Where this comes from.
    pub layer: Layer,
}

impl Kind for TimeServerSpec {
    const NAME: &'static str = "TimeServerSpec";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["timeserverspec", "timeserverspecs", "timeservers"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("SERVERS", "/servers"), ("ENABLED", "/enabled"), ("LAYER", "/layer")]
    }
}

/// The clock. The only resource has the id [`TimeStatus::ID`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TimeStatus {
    /// Whether the clock is kept by NTP.
    pub enabled: bool,
    /// Whether the kernel's clock follows a time server.
    pub synced: bool,
    /// The servers asked.
    pub servers: Vec<String>,
    /// By how much the clock was put right at the last step, in milliseconds; none when it was never needed.
    pub stepped_ms: Option<i64>,
    /// In words.
    pub message: String,
}

impl TimeStatus {
    /// Id of the only resource.
    pub const ID: &'static str = "time";
}

impl Kind for TimeStatus {
    const NAME: &'static str = "TimeStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["timestatus", "time"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("SYNCED", "/synced"),
            ("ENABLED", "/enabled"),
            ("SERVERS", "/servers"),
            ("STEPPED_MS", "/stepped_ms"),
            ("MESSAGE", "/message"),
        ]
    }
}
