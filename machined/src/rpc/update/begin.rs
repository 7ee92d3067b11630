//! Checks the header of a bundle, and gets ready for its payload.

use corten_api::v1::{BeginUpdateRequest, BeginUpdateResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status};

use super::{facts, to_proto};
use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn begin(
    node: &Node,
    request: Request<BeginUpdateRequest>,
) -> Result<Response<BeginUpdateResponse>, Status> {
    if !request.get_ref().dry_run {
        audit::record(node, &request, "begin an update", corten_resources::runtime::MACHINE);
    }
    if node.power.current().is_some() {
        let hint = "wait until the machine is back: osctl status";
        return Err(error::status(codes::MACHINE_STOPPING, "the machine is going down", hint));
    }
    let request = request.into_inner();
    let (facts, baseline) = (facts::facts(node), facts::baseline(node));
    let begun = node.updates.begin(request.header, facts, request.force, request.dry_run, baseline).await?;
    Ok(Response::new(to_proto::begun(begun)))
}
