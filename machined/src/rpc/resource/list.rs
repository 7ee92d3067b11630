//! All resources of a kind.

use corten_api::v1::{ListResourcesRequest, ListResourcesResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status};

use super::{find, to_proto};
use crate::node::Node;
use crate::rpc::auth::Caller;

pub(super) fn list(
    node: &Node,
    request: Request<ListResourcesRequest>,
) -> Result<Response<ListResourcesResponse>, Status> {
    let kind = find::find(&node.store, &request.get_ref().kind, &Caller::of(&request))?;
    let all =
        node.store.list_any(kind.name).map_err(|failure| error::to_status(codes::INTERNAL, &failure, ""))?;
    let resources = all.into_iter().map(to_proto::resource).collect();
    Ok(Response::new(ListResourcesResponse { resources, kind: Some(to_proto::kind(kind)) }))
}
