//! What the node knows about itself that matters to an update, beside its disk.

use corten_resources::config::MachineConfig;
use corten_resources::k8s::EtcdMember;
use corten_resources::runtime::{MACHINE, MachineStatus, ServiceStatus};

use crate::node::Node;
use crate::update::preflight::Facts;
use crate::update::view::Baseline;
use crate::versions;

pub(super) fn facts(node: &Node) -> Facts {
    Facts {
        version: versions::version().to_owned(),
        kubernetes: versions::components().kubernetes.clone(),
        architecture: std::env::consts::ARCH.to_owned(),
        etcd: etcd(node),
        ..Facts::default()
    }
}

/// A member of etcd that does not serve must not go down: the others may need it.
fn etcd(node: &Node) -> Option<String> {
    node.store.get::<EtcdMember>("local")?;
    match node.store.get::<ServiceStatus>("etcd") {
        Some(service) if service.spec.ready => None,
        Some(service) => Some(format!("etcd does not serve: {}", service.spec.message)),
        None => Some("etcd does not run".to_owned()),
    }
}

pub(super) fn baseline(node: &Node) -> Baseline {
    let machine = node.store.get::<MachineStatus>(MACHINE);
    Baseline {
        unmet: machine
            .map(|machine| machine.spec.unmet.iter().map(|unmet| unmet.name.clone()).collect())
            .unwrap_or_default(),
        ready: node
            .store
            .list::<ServiceStatus>()
            .iter()
            .filter(|service| service.spec.ready)
            .map(|service| service.metadata.id.clone())
            .collect(),
        config_generation: node
            .store
            .get::<MachineConfig>(MachineConfig::ACTIVE)
            .map_or(0, |config| config.spec.generation),
    }
}
