//! Domain to wire.

use corten_api::v1::Service;
use corten_resources::runtime::ServiceStatus;

use crate::node::Node;
use crate::rpc::unix_ms;

pub(super) fn service(node: &Node, id: &str, status: &ServiceStatus) -> Service {
    Service {
        id: id.to_owned(),
        state: status.state.to_string(),
        ready: status.ready,
        pid: status.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        since_unix_ms: unix_ms(status.since),
        restarts: u32::try_from(status.restarts).unwrap_or(u32::MAX),
        last_exit: status.last_exit.clone().unwrap_or_default(),
        message: status.message.clone(),
        memory_bytes: node.supervisor.memory(id).unwrap_or(0),
    }
}
