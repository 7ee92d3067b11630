//! `Hostname`: the name of the machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// Name of the machine, and so of its Kubernetes node. Without this document the name that DHCP gives is used, else
/// one made from the machine id. At most one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hostname {
    /// A host name (RFC 1123): lower-case letters, digits, `-` and `.`, at most 63 characters. Kubernetes takes a
    /// renamed machine for a new node. Example: `worker-1`.
    #[schemars(with = "text::HostName", extend("x-effect" = "reboot"))]
    pub hostname: String,
}
