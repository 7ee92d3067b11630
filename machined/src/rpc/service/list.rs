//! Every service with its state.

use corten_api::v1::{ListServicesRequest, ListServicesResponse};
use corten_resources::runtime::ServiceStatus;
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;

pub(super) fn list(
    node: &Node,
    _request: Request<ListServicesRequest>,
) -> Result<Response<ListServicesResponse>, Status> {
    let all = node.store.list::<ServiceStatus>();
    let services = all.iter().map(|status| to_proto::service(node, status.id(), &status.spec)).collect();
    Ok(Response::new(ListServicesResponse { services }))
}
