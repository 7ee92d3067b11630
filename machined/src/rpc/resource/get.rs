//! One resource.

use corten_api::v1::{GetResourceRequest, GetResourceResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status};

use super::{find, to_proto};
use crate::node::Node;
use crate::rpc::auth::Caller;

pub(super) fn get(
    node: &Node,
    request: Request<GetResourceRequest>,
) -> Result<Response<GetResourceResponse>, Status> {
    let kind = find::find(&node.store, &request.get_ref().kind, &Caller::of(&request))?;
    let id = request.into_inner().id;
    let found = node.store.get_any(kind.name, &id).ok().flatten();
    let resource = found.ok_or_else(|| {
        let hint = format!("osctl get {} lists what there is", kind.aliases.first().unwrap_or(&kind.name));
        error::status(codes::NOT_FOUND, format!("there is no {} {id:?}", kind.name), &hint)
    })?;
    Ok(Response::new(GetResourceResponse {
        resource: Some(to_proto::resource(resource)),
        kind: Some(to_proto::kind(kind)),
    }))
}
