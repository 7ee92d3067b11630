//! Forgets that a version failed on this node.

use corten_api::v1::{AllowVersionRequest, AllowVersionResponse};
use tonic::{Request, Response, Status};

use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn allow(
    node: &Node,
    request: Request<AllowVersionRequest>,
) -> Result<Response<AllowVersionResponse>, Status> {
    audit::record(node, &request, "allow a version", &request.get_ref().version);
    let was_denied = node.updates.allow(request.into_inner().version).await?;
    Ok(Response::new(AllowVersionResponse { was_denied }))
}
