//! Stops and starts a service.

use corten_api::v1::{RestartServiceRequest, RestartServiceResponse};
use tonic::{Request, Response, Status};

use super::control;
use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn restart(
    node: &Node,
    request: Request<RestartServiceRequest>,
) -> Result<Response<RestartServiceResponse>, Status> {
    audit::record(node, &request, "restart", &request.get_ref().id);
    let id = request.into_inner().id;
    let service = control::control(node, &id, |supervisor| supervisor.restart(&id)).await?;
    Ok(Response::new(RestartServiceResponse { service }))
}
