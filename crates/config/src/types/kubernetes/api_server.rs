//! `APIServer`: kube-apiserver.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::types::text;

/// kube-apiserver; control-plane machines only. At most one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-effect" = "restart:kube-apiserver"))]
pub struct APIServer {
    /// Further names and addresses under which clients reach the Kubernetes API; the host of `Cluster.endpoint` and
    /// the machine's own are always there. Example: `[kube.example.com]`.
    #[serde(rename = "certSANs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Host>", extend("x-effect" = "live"))]
    pub cert_sans: Vec<String>,
    /// Flags of kube-apiserver without the leading dashes; they win over ours.
    /// Example: `{max-requests-inflight: 800}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-keys" = "flag"))]
    pub extra_args: BTreeMap<String, String>,
    /// Audit policy (`audit.k8s.io/v1`, kind `Policy`) in place of ours, which logs metadata.
    /// Example: `{rules: [{level: Metadata}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_policy: Option<Map<String, Value>>,
}
