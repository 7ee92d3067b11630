//! A whole config: one field per kind of document.

use crate::types::cluster::{
    api_server::APIServer, cluster::Cluster, etcd::Etcd, kubelet::Kubelet, registry::Registry,
};
use crate::types::machine::{kernel_module::KernelModule, machine::Machine, sysctl::Sysctl, time::Time};
use crate::types::network::{hostname::Hostname, link::Link, resolver::Resolver};

/// A config whose documents fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What this machine is.
    pub machine: Machine,
    /// What all machines of the cluster share.
    pub cluster: Cluster,
    /// Network interfaces; empty means DHCPv4 on every physical link.
    pub links: Vec<Link>,
    /// Name of the machine.
    pub hostname: Option<Hostname>,
    /// DNS.
    pub resolver: Option<Resolver>,
    /// Where the clock is set from.
    pub time: Option<Time>,
    /// The node as Kubernetes sees it.
    pub kubelet: Option<Kubelet>,
    /// kube-apiserver.
    pub api_server: Option<APIServer>,
    /// The etcd member.
    pub etcd: Option<Etcd>,
    /// Mirrors of image registries.
    pub registries: Vec<Registry>,
    /// Kernel parameters.
    pub sysctl: Option<Sysctl>,
    /// Modules to load at boot.
    pub kernel_modules: Vec<KernelModule>,
}
