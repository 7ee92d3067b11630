//! `Time`: where the clock is set from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// Where the clock is set from. Without this document the servers of DHCP are used, else `pool.ntp.org`. At most
/// one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Time {
    /// Whether the clock is kept at all. Turn it off only where the hypervisor keeps it.
    #[serde(default = "enabled", skip_serializing_if = "is_enabled")]
    #[schemars(extend("x-effect" = "live"))]
    pub enabled: bool,
    /// NTP servers, names or addresses; when given, they replace those of DHCP. Example: `[192.0.2.123]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Host>", extend("x-effect" = "live"))]
    pub servers: Vec<String>,
}

impl Default for Time {
    fn default() -> Self {
        Self { enabled: true, servers: Vec::new() }
    }
}

fn enabled() -> bool {
    true
}

// serde passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_enabled(enabled: &bool) -> bool {
    *enabled
}
