//! Slots, the trial, and what became of earlier updates.

use corten_api::v1::{UpdateStatusRequest, UpdateStatusResponse};
use corten_resources::runtime::MACHINE;
use corten_resources::update::{SlotStatus, UpdateStatus};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;
use crate::update::view::View;
use crate::versions;

pub(super) async fn status(
    node: &Node,
    _request: Request<UpdateStatusRequest>,
) -> Result<Response<UpdateStatusResponse>, Status> {
    // A machine that runs from an install medium has no slots, which is no failure.
    let view = if node.updates.has_disk() { node.updates.look().await? } else { View::default() };
    let published = node.store.list::<SlotStatus>();
    let generation = |label: &str| {
        published.iter().find(|slot| slot.metadata.id == label).map_or(0, |slot| slot.spec.config_generation)
    };
    let gate = node.store.get::<UpdateStatus>(MACHINE);
    Ok(Response::new(UpdateStatusResponse {
        version: versions::version().to_owned(),
        slots: view
            .slots
            .into_iter()
            .map(|(label, slot)| to_proto::slot(generation(&label), label, slot))
            .collect(),
        gate: gate.map(|gate| to_proto::gate(&gate.spec)),
        pending: view.pending.map(|pending| to_proto::pending(pending, node.updates.transfer())),
        denied: view.denied.into_iter().map(to_proto::denied).collect(),
        last_failure: view.failure.map(to_proto::failure),
    }))
}
