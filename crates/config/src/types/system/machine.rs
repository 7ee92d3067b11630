//! `Machine`: what this machine is, and whom its API trusts.

use corten_pki::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::authority::CertificateAuthority;
use crate::types::text;

/// What this machine is, and whom its API trusts. Every config holds exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// What the machine does in the cluster. A machine keeps its role for life. Example: `controlplane`.
    #[schemars(extend("x-effect" = "reboot"))]
    pub role: Role,
    /// With it the machine proves that it may join: six characters, a dot, sixteen characters.
    /// Example: `abcdef.0123456789abcdef`.
    #[schemars(with = "text::SecretToken")]
    #[schemars(extend("x-effect" = "live"))]
    pub token: Secret,
    /// Authority that signs the certificates of the OS API. The key belongs on control-plane machines only.
    #[schemars(extend("x-effect" = "live"))]
    pub ca: CertificateAuthority,
    /// Further names and addresses under which clients reach the OS API of this machine; its own host name and
    /// addresses are always there. Example: `[node-1.example.com, 203.0.113.7]`.
    #[serde(rename = "certSANs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Host>", extend("x-effect" = "live"))]
    pub cert_sans: Vec<String>,
}

/// Part of a machine in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs etcd and the Kubernetes control plane.
    Controlplane,
    /// Runs workloads only.
    Worker,
}
