//! What the Kubernetes components are rendered from: plain data, gathered once per reconcile.

use std::collections::BTreeMap;
use std::net::IpAddr;

use corten_config::Config;
use corten_constants::ports;
use corten_resources::k8s::Role;
use ipnet::IpNet;

/// Everything that decides how a component is started on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// Control plane or worker.
    pub role: Role,
    /// Name of the Node object.
    pub node_name: String,
    /// Routable addresses of this node, the primary one first, never empty.
    pub addresses: Vec<IpAddr>,
    /// Addresses that the kubelet registers, the primary one first, never empty.
    pub node_ips: Vec<IpAddr>,
    /// Address under which other members reach this node's etcd.
    pub etcd_address: IpAddr,
    /// Name of the cluster.
    pub cluster_name: String,
    /// URL under which clients reach the API servers.
    pub endpoint: String,
    /// DNS domain of the cluster.
    pub domain: String,
    /// Pod ranges, one per IP family.
    pub pod_subnets: Vec<IpNet>,
    /// Service ranges, one per IP family.
    pub service_subnets: Vec<IpNet>,
    /// Whether ordinary pods may run on a control-plane node.
    pub schedulable: bool,
    /// Whether etcd may start: this node was bootstrapped or has joined.
    pub etcd: bool,
    /// Names and values of the node's labels.
    pub node_labels: BTreeMap<String, String>,
    /// Taints in the form `key=value:Effect` or `key:Effect`.
    pub node_taints: Vec<String>,
    /// Most pods on this node.
    pub max_pods: Option<u32>,
    /// Raw KubeletConfiguration fields that override ours.
    pub kubelet_overrides: serde_json::Map<String, serde_json::Value>,
    /// Further flags of kube-apiserver; they win over ours.
    pub apiserver_args: BTreeMap<String, String>,
    /// The operator's audit policy instead of ours.
    pub audit_policy: Option<serde_json::Map<String, serde_json::Value>>,
    /// Digest of the secret files of each component: a change restarts it.
    pub secrets: BTreeMap<String, String>,
}

impl Inputs {
    /// Reads the documents; `None` while the node has no address yet.
    pub fn gather(
        config: &Config,
        node_name: &str,
        addresses: &[IpAddr],
        etcd: bool,
        secrets: BTreeMap<String, String>,
    ) -> Option<Self> {
        if addresses.is_empty() || node_name.is_empty() {
            return None;
        }
        let cluster = &config.cluster;
        let role = match config.machine.role {
            corten_config::Role::Controlplane => Role::ControlPlane,
            corten_config::Role::Worker => Role::Worker,
        };
        let kubelet = config.kubelet.clone().unwrap_or_default();
        let server = config.api_server.clone().unwrap_or_default();
        let etcd_subnets = config.etcd.clone().unwrap_or_default().advertised_subnets;
        let etcd_address = within(addresses, &etcd_subnets).first().copied()?;
        Some(Self {
            role,
            node_name: node_name.to_owned(),
            addresses: addresses.to_vec(),
            node_ips: within(addresses, &kubelet.node_ip_subnets),
            etcd_address,
            cluster_name: cluster.name.clone(),
            endpoint: cluster.endpoint.to_string(),
            domain: cluster.domain.clone(),
            pod_subnets: cluster.pod_subnets.clone(),
            service_subnets: cluster.service_subnets.clone(),
            schedulable: cluster.allow_scheduling_on_control_plane,
            etcd,
            node_labels: kubelet.node_labels,
            node_taints: kubelet.node_taints,
            max_pods: kubelet.max_pods,
            kubelet_overrides: kubelet.extra_config,
            apiserver_args: server.extra_args,
            audit_policy: server.audit_policy,
            secrets,
        })
    }

    /// The address that other nodes use.
    pub fn primary(&self) -> IpAddr {
        self.addresses.first().copied().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
    }

    /// Whether this node runs the control plane.
    pub fn is_control_plane(&self) -> bool {
        self.role == Role::ControlPlane
    }

    /// URL of the API server that this node's own components use.
    pub fn local_api_server(&self) -> String {
        if self.is_control_plane() {
            format!("https://127.0.0.1:{}", ports::KUBE_APISERVER)
        } else {
            self.endpoint.clone()
        }
    }

    /// The tenth address of each service range: the cluster's DNS.
    pub fn dns_addresses(&self) -> Vec<IpAddr> {
        self.service_subnets.iter().filter_map(|net| nth_address(net, 10)).collect()
    }

    /// The first address of each service range: the Service `kubernetes`.
    pub fn api_service_addresses(&self) -> Vec<IpAddr> {
        self.service_subnets.iter().filter_map(|net| nth_address(net, 1)).collect()
    }

    /// Pod ranges as Kubernetes' flags want them.
    pub fn pod_cidrs(&self) -> String {
        join(&self.pod_subnets)
    }

    /// Service ranges as Kubernetes' flags want them.
    pub fn service_cidrs(&self) -> String {
        join(&self.service_subnets)
    }

    /// Digest of a component's secrets, empty when there are none yet.
    pub fn secrets_digest(&self, component: &str) -> String {
        self.secrets.get(component).cloned().unwrap_or_default()
    }
}

/// Those of `addresses` in one of `subnets`; all of them when none is, or when there are no subnets.
fn within(addresses: &[IpAddr], subnets: &[IpNet]) -> Vec<IpAddr> {
    let inside: Vec<IpAddr> =
        addresses.iter().copied().filter(|address| subnets.iter().any(|net| net.contains(address))).collect();
    if inside.is_empty() { addresses.to_vec() } else { inside }
}

fn join(nets: &[IpNet]) -> String {
    nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The `n`th address after the network address, when the range has one.
pub fn nth_address(net: &IpNet, n: u32) -> Option<IpAddr> {
    let address = match net.network() {
        IpAddr::V4(base) => IpAddr::V4(u32::from(base).checked_add(n)?.into()),
        IpAddr::V6(base) => IpAddr::V6(u128::from(base).checked_add(n.into())?.into()),
    };
    net.contains(&address).then_some(address)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A control plane with one address, as `osctl gen config` makes it.
    pub(crate) fn single_node() -> Inputs {
        Inputs {
            role: Role::ControlPlane,
            node_name: "n1".into(),
            addresses: vec!["10.0.2.15".parse().unwrap()],
            node_ips: vec!["10.0.2.15".parse().unwrap()],
            etcd_address: "10.0.2.15".parse().unwrap(),
            audit_policy: None,
            cluster_name: "demo".into(),
            endpoint: "https://10.0.2.15:6443".into(),
            domain: "cluster.local".into(),
            pod_subnets: vec!["10.244.0.0/16".parse().unwrap()],
            service_subnets: vec!["10.96.0.0/12".parse().unwrap()],
            schedulable: true,
            etcd: true,
            node_labels: BTreeMap::new(),
            node_taints: Vec::new(),
            max_pods: None,
            kubelet_overrides: serde_json::Map::new(),
            apiserver_args: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }

    #[test]
    fn the_dns_address_is_the_tenth_of_each_family() {
        let mut inputs = single_node();
        inputs.service_subnets.push("fd00:96::/112".parse().unwrap());
        let dns: Vec<String> = inputs.dns_addresses().iter().map(ToString::to_string).collect();
        assert_eq!(dns, ["10.96.0.10", "fd00:96::a"]);
    }

    #[test]
    fn subnets_choose_the_address_and_never_leave_none() {
        let all: Vec<IpAddr> = ["10.0.2.15", "192.168.1.5"].map(|a| a.parse().unwrap()).to_vec();
        assert_eq!(within(&all, &["192.168.0.0/16".parse().unwrap()]), [all[1]]);
        assert_eq!(within(&all, &["172.16.0.0/12".parse().unwrap()]), all);
        assert_eq!(within(&all, &[]), all);
    }

    #[test]
    fn a_range_that_is_too_small_has_no_tenth_address() {
        assert_eq!(nth_address(&"10.0.0.0/30".parse().unwrap(), 10), None);
    }
}
