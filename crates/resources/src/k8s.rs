//! Kubernetes and etcd on this node.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use corten_store::Kind;

/// What a machine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs etcd and the Kubernetes control plane.
    ControlPlane,
    /// Runs workloads only.
    Worker,
}

/// Whether etcd may run here. Written by bootstrap and by a join; read by the component controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EtcdMember {
    /// When the operator bootstrapped this node, RFC 3339.
    pub bootstrapped: String,
    /// Set once etcd has served from its data directory: from then on a missing directory is data loss.
    pub initialized: bool,
}

impl Kind for EtcdMember {
    const NAME: &'static str = "EtcdMember";
    const NAMESPACE: &'static str = "etcd";
    const ALIASES: &'static [&'static str] = &["etcdmember", "etcdmembers"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("BOOTSTRAPPED", "/bootstrapped"), ("INITIALIZED", "/initialized")]
    }
}

/// The Node object of this machine, as the API server has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Whether the condition Ready is True.
    pub ready: bool,
    /// Reason of the condition Ready, or why there is no answer.
    pub reason: String,
    /// Message of the condition Ready.
    pub message: String,
    /// Pod ranges that the controller manager gave to this node.
    pub pod_cidrs: Vec<String>,
    /// Whether the node is cordoned.
    pub unschedulable: bool,
    /// Version of the kubelet.
    pub kubelet_version: String,
}

impl Kind for NodeStatus {
    const NAME: &'static str = "NodeStatus";
    const NAMESPACE: &'static str = "k8s";
    const ALIASES: &'static [&'static str] = &["nodestatus", "nodestatuses", "node"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("READY", "/ready"),
            ("REASON", "/reason"),
            ("POD CIDRS", "/pod_cidrs"),
            ("KUBELET", "/kubelet_version"),
        ]
    }
}

/// The manifests that a control plane applies to its cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ManifestStatus {
    /// How many objects the manifest has.
    pub objects: usize,
    /// Digest of what was applied last.
    pub applied: String,
    /// The last error, empty when all is applied.
    pub error: String,
}

impl Kind for ManifestStatus {
    const NAME: &'static str = "ManifestStatus";
    const NAMESPACE: &'static str = "k8s";
    const ALIASES: &'static [&'static str] = &["manifeststatus", "manifests"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("OBJECTS", "/objects"), ("ERROR", "/error")]
    }
}

/// A container image that was imported from the root image.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageStatus {
    /// Name with tag.
    pub name: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Why it is not there, empty when it is.
    pub error: String,
}

impl Kind for ImageStatus {
    const NAME: &'static str = "ImageStatus";
    const NAMESPACE: &'static str = "k8s";
    const ALIASES: &'static [&'static str] = &["imagestatus", "imagestatuses", "images"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("NAME", "/name"), ("DIGEST", "/digest"), ("ERROR", "/error")]
    }
}

/// How the components of this node are set up; the summary that `osctl get` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KubernetesConfig {
    /// Control plane or worker.
    pub role: Role,
    /// Name of the Node object.
    pub node_name: String,
    /// Addresses of the node, primary first.
    pub addresses: Vec<IpAddr>,
    /// URL under which clients reach the API servers.
    pub endpoint: String,
    /// Flags that the operator added, which win over ours.
    pub overrides: Vec<String>,
}

impl Kind for KubernetesConfig {
    const NAME: &'static str = "KubernetesConfig";
    const NAMESPACE: &'static str = "k8s";
    const ALIASES: &'static [&'static str] = &["kubernetesconfig", "k8sconfig"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("ROLE", "/role"), ("NODE", "/node_name"), ("ADDRESSES", "/addresses"), ("ENDPOINT", "/endpoint")]
    }
}
