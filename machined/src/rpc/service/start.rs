//! Starts a service that an operator stopped.

use corten_api::v1::{StartServiceRequest, StartServiceResponse};
use tonic::{Request, Response, Status};

use super::control;
use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn start(
    node: &Node,
    request: Request<StartServiceRequest>,
) -> Result<Response<StartServiceResponse>, Status> {
    audit::record(node, &request, "start", &request.get_ref().id);
    let id = request.into_inner().id;
    let service = control::control(node, &id, |supervisor| supervisor.start(&id)).await?;
    Ok(Response::new(StartServiceResponse { service }))
}
