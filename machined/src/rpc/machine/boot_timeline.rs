//! How this boot went.

use corten_api::v1::{BootTimelineRequest, BootTimelineResponse};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;
use crate::versions;

pub(super) fn boot_timeline(
    node: &Node,
    _request: Request<BootTimelineRequest>,
) -> Result<Response<BootTimelineResponse>, Status> {
    let phases = node.timeline.snapshot().marks.into_iter().map(to_proto::boot_phase).collect();
    Ok(Response::new(BootTimelineResponse { boot_id: versions::boot_id(), phases }))
}
