//! Typed resource kinds, by area. A kind is a marker type with a `Spec`; `XxxSpec` is wanted, `XxxStatus` is observed.

pub mod block;
pub mod config;
pub mod k8s;
pub mod network;
pub mod runtime;
pub mod secrets;

use corten_store::Store;

/// Makes every kind known to the API, so that it can be asked for before its first resource exists.
pub fn register_all(store: &Store) {
    runtime::register(store);
    network::register(store);
    block::register(store);
    store.register::<config::MachineConfig>();
    store.register::<config::ConfigSourceStatus>();
    store.register::<k8s::EtcdMember>();
    store.register::<k8s::NodeStatus>();
    store.register::<k8s::ManifestStatus>();
    store.register::<k8s::ImageStatus>();
    store.register::<k8s::KubernetesConfig>();
    store.register::<secrets::ComponentSecrets>();
    store.register::<secrets::CertificateStatus>();
}
