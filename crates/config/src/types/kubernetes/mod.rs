//! Documents about the cluster and the Kubernetes components.

pub(crate) mod api_server;
pub(crate) mod cluster;
pub(crate) mod etcd;
pub(crate) mod kubelet;
pub(crate) mod registry;
