//! TCP and UDP ports on which a node listens.

/// Corten API (apid), TLS 1.3.
pub const API: u16 = 50000;
/// etcd, clients.
pub const ETCD_CLIENT: u16 = 2379;
/// etcd, peers.
pub const ETCD_PEER: u16 = 2380;
/// etcd, health and metrics, loopback only.
pub const ETCD_METRICS: u16 = 2381;
/// kube-apiserver.
pub const KUBE_APISERVER: u16 = 6443;
/// kubelet API.
pub const KUBELET: u16 = 10250;
/// kubelet health, loopback only.
pub const KUBELET_HEALTH: u16 = 10248;
/// kube-proxy health, loopback only.
pub const KUBE_PROXY_HEALTH: u16 = 10256;
/// kube-controller-manager, loopback only.
pub const KUBE_CONTROLLER_MANAGER: u16 = 10257;
/// kube-scheduler, loopback only.
pub const KUBE_SCHEDULER: u16 = 10259;
/// flannel health, loopback only.
pub const FLANNEL_HEALTH: u16 = 10260;
/// VXLAN of flannel, UDP.
pub const FLANNEL_VXLAN: u16 = 8472;
