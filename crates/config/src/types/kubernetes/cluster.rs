//! `Cluster`: what all machines of a cluster share.

use corten_pki::Secret;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::authority::CertificateAuthority;
use crate::types::endpoint::Endpoint;
use crate::types::text;

/// What all machines of a cluster share. Every config holds exactly one. `osctl gen config` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-effect" = "restart:kubernetes"))]
pub struct Cluster {
    /// Random identity of the cluster, made once.
    #[schemars(with = "text::Word", extend("x-effect" = "reboot"))]
    pub id: String,
    /// Name of the cluster, as contexts and kubeconfigs show it. Example: `prod-1`.
    #[schemars(with = "text::HostName")]
    pub name: String,
    /// URL under which clients reach the Kubernetes API: a load balancer, a DNS name or a control-plane machine.
    /// Example: `https://192.0.2.10:6443`.
    #[schemars(with = "text::HttpsUrl")]
    pub endpoint: Endpoint,
    /// DNS domain inside the cluster. It cannot be changed once the cluster runs.
    #[serde(default = "domain")]
    #[schemars(with = "text::Domain")]
    pub domain: String,
    /// Ranges of pod addresses, one for each IP family, at most 2. Example: `[10.244.0.0/16]`.
    #[serde(default = "pod_subnets")]
    #[schemars(with = "Vec<text::Cidr>", length(min = 1, max = 2), extend("x-effect" = "reboot"))]
    pub pod_subnets: Vec<IpNet>,
    /// Ranges of service addresses, one for each IP family, at most 2. Example: `[10.96.0.0/12]`.
    #[serde(default = "service_subnets")]
    #[schemars(with = "Vec<text::Cidr>", length(min = 1, max = 2), extend("x-effect" = "reboot"))]
    pub service_subnets: Vec<IpNet>,
    /// Authority of Kubernetes. The key belongs on control-plane machines only.
    pub ca: CertificateAuthority,
    /// Authority of the aggregation layer; control-plane machines only.
    #[serde(rename = "aggregatorCA", default, skip_serializing_if = "Option::is_none")]
    pub aggregator_ca: Option<CertificateAuthority>,
    /// Authority of etcd; control-plane machines only.
    #[serde(rename = "etcdCA", default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-effect" = "restart:etcd"))]
    pub etcd_ca: Option<CertificateAuthority>,
    /// Private key (PEM) that signs service-account tokens; control-plane machines only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::SecretPem>")]
    pub service_account_key: Option<Secret>,
    /// Key that encrypts Kubernetes secrets at rest (secretbox): 32 bytes in base64; control-plane machines only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::SecretKey32>")]
    pub encryption_key: Option<Secret>,
    /// Kubernetes bootstrap token. Example: `abcdef.0123456789abcdef`.
    #[schemars(with = "text::SecretToken")]
    pub token: Secret,
    /// Whether ordinary pods may run on control-plane machines.
    #[serde(default)]
    pub allow_scheduling_on_control_plane: bool,
}

pub(crate) fn domain() -> String {
    corten_constants::DEFAULT_CLUSTER_DOMAIN.to_owned()
}

/// The ranges that flannel's and kubeadm's users know.
pub(crate) fn pod_subnets() -> Vec<IpNet> {
    vec![ipv4(10, 244, 16)]
}

pub(crate) fn service_subnets() -> Vec<IpNet> {
    vec![ipv4(10, 96, 12)]
}

fn ipv4(first: u8, second: u8, prefix: u8) -> IpNet {
    // The lengths above are within 0..=32.
    IpNet::new_assert(std::net::Ipv4Addr::new(first, second, 0, 0).into(), prefix)
}
