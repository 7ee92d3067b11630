//! `Kubelet`: the node as Kubernetes sees it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::types::text;

/// The node as Kubernetes sees it, and raw settings of its kubelet. At most one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-effect" = "restart:kubelet"))]
pub struct Kubelet {
    /// Labels of the node. Example: `{topology.kubernetes.io/zone: west-1}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(
        with = "BTreeMap<String, text::LabelValue>",
        extend("x-keys" = "label-key", "x-effect" = "live")
    )]
    pub node_labels: BTreeMap<String, String>,
    /// Taints of the node, each `key=value:Effect` or `key:Effect`. Example: `[dedicated=db:NoSchedule]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Taint>", extend("x-effect" = "live"))]
    pub node_taints: Vec<String>,
    /// Most pods on the node, 1 to 1024; without it the kubelet's own limit, 110. Example: `250`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub max_pods: Option<u32>,
    /// Ranges out of which the node's address is taken, when it has several. Example: `[192.0.2.0/24]`.
    #[serde(rename = "nodeIPSubnets", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Cidr>")]
    pub node_ip_subnets: Vec<IpNet>,
    /// Fields of KubeletConfiguration (`kubelet.config.k8s.io/v1beta1`) that are put over ours. Unknown fields are
    /// refused, and those that the OS needs for itself. Example: `{imageGCHighThresholdPercent: 75}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra_config: Map<String, Value>,
}
