//! Every kind that the caller may see.

use corten_api::v1::{KindsRequest, KindsResponse};
use tonic::{Request, Response, Status};

use super::{find, to_proto};
use crate::node::Node;
use crate::rpc::auth::Caller;

pub(super) fn kinds(node: &Node, request: Request<KindsRequest>) -> Result<Response<KindsResponse>, Status> {
    let caller = Caller::of(&request);
    let all = node.store.kinds().into_iter();
    let kinds = all.filter(|kind| find::is_visible(kind, &caller)).map(to_proto::kind).collect();
    Ok(Response::new(KindsResponse { kinds }))
}
