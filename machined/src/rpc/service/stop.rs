//! Stops a service until it is started again.

use corten_api::v1::{StopServiceRequest, StopServiceResponse};
use tonic::{Request, Response, Status};

use super::control;
use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn stop(
    node: &Node,
    request: Request<StopServiceRequest>,
) -> Result<Response<StopServiceResponse>, Status> {
    audit::record(node, &request, "stop", &request.get_ref().id);
    let id = request.into_inner().id;
    let service = control::control(node, &id, |supervisor| supervisor.stop(&id)).await?;
    Ok(Response::new(StopServiceResponse { service }))
}
