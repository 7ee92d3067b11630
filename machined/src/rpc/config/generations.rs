//! The configs that the node has had.

use corten_api::v1::{GenerationsRequest, GenerationsResponse};
use corten_api::{codes, error};
use corten_resources::config::MachineConfig;
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::controllers::config::generations::Generation;
use crate::node::Node;

pub(super) async fn generations(
    node: &Node,
    _request: Request<GenerationsRequest>,
) -> Result<Response<GenerationsResponse>, Status> {
    let active = active(node);
    let all = all(node).await?;
    let generations = all.iter().rev().map(|generation| to_proto::generation(generation, active)).collect();
    Ok(Response::new(GenerationsResponse { generations }))
}

/// All generations on STATE, oldest first.
pub(super) async fn all(node: &Node) -> Result<Vec<Generation>, Status> {
    let listed = node.config.list().await;
    listed.map_err(|failure| error::to_status(codes::CONFIG_STORE, &failure, "osctl get volumes"))
}

/// Number of the generation in force; 0 when there is none.
pub(super) fn active(node: &Node) -> u64 {
    node.store.get::<MachineConfig>(MachineConfig::ACTIVE).map_or(0, |config| config.spec.generation)
}
