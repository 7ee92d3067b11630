//! How far the machine has come, and what keeps it from being ready.

use corten_api::v1::{StatusRequest, StatusResponse};
use corten_resources::config::MachineConfig;
use corten_resources::k8s::NodeStatus;
use corten_resources::network::{HostnameStatus, NodeAddresses};
use corten_resources::runtime::{MACHINE, MachineStatus};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::controllers::config;
use crate::node::Node;
use crate::rpc::unix_ms;
use crate::versions;

pub(super) fn status(
    node: &Node,
    _request: Request<StatusRequest>,
) -> Result<Response<StatusResponse>, Status> {
    let store = &node.store;
    let machine = store.get::<MachineStatus>(MACHINE).map(|machine| machine.spec.clone()).unwrap_or_default();
    let config = config::active(store);
    let hostname = store.get::<HostnameStatus>(HostnameStatus::ID).map(|status| status.spec.hostname.clone());
    let hostname = hostname.unwrap_or_default();
    let addresses = store.get::<NodeAddresses>(NodeAddresses::ID);
    let addresses = addresses.map(|all| all.spec.ips().map(|ip| ip.to_string()).collect());
    Ok(Response::new(StatusResponse {
        stage: to_proto::stage(machine.stage).into(),
        ready: machine.ready,
        unmet: machine.unmet.into_iter().map(to_proto::unmet).collect(),
        addresses: addresses.unwrap_or_default(),
        role: config
            .as_ref()
            .map(|config| to_proto::role(config.machine.role).to_owned())
            .unwrap_or_default(),
        cluster: config.map(|config| config.cluster.name.clone()).unwrap_or_default(),
        boot_id: versions::boot_id(),
        machine_id: versions::machine_id(),
        uptime_ms: versions::uptime_ms(),
        time_unix_ms: unix_ms(jiff::Timestamp::now()),
        config_generation: store
            .get::<MachineConfig>(MachineConfig::ACTIVE)
            .map_or(0, |config| config.spec.generation),
        kubernetes_ready: store.get::<NodeStatus>(&hostname).is_some_and(|node| node.spec.ready),
        hostname,
    }))
}
