//! Stops a service until it is started again.

use corten_api::v1::{StopServiceRequest, StopServiceResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status};

use super::control;
use crate::node::Node;
use crate::rpc::audit;

/// The way in: only the API could start it again.
const APID: &str = "apid";

pub(super) async fn stop(
    node: &Node,
    request: Request<StopServiceRequest>,
) -> Result<Response<StopServiceResponse>, Status> {
    audit::record(node, &request, "stop", &request.get_ref().id);
    let id = request.into_inner().id;
    if id == APID {
        let message = "without apid nobody could start it again: it is not stopped";
        return Err(error::status(codes::SERVICE_STATE, message, "osctl services restart apid"));
    }
    let service = control::control(node, &id, |supervisor| supervisor.stop(&id)).await?;
    Ok(Response::new(StopServiceResponse { service }))
}
