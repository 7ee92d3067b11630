//! Whether this node may speak for the cluster.

use std::sync::Arc;

use corten_api::{codes, error};
use corten_config::{Config, Role};
use tonic::Status;

use crate::controllers::config;
use crate::node::Node;

/// The config, when this is a control-plane node.
pub(super) fn config(node: &Node) -> Result<Arc<Config>, Status> {
    match config::active(&node.store) {
        Some(config) if config.machine.role == Role::Controlplane => Ok(config),
        Some(_) => Err(error::status(
            codes::CLUSTER_NOT_CONTROL_PLANE,
            "this node is a worker",
            "name a control-plane node with -n",
        )),
        None => Err(error::status(
            codes::MACHINE_MAINTENANCE,
            "the machine has no config yet",
            "osctl apply-config",
        )),
    }
}
