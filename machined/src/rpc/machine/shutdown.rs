//! Sends the machine down. The answer comes before that begins.

use corten_api::v1::{ShutdownRequest, ShutdownResponse};
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status};

use crate::node::{Node, PowerAction, PowerRequest};
use crate::rpc::audit;
use crate::versions;

pub(super) fn shutdown(
    node: &Node,
    request: Request<ShutdownRequest>,
) -> Result<Response<ShutdownResponse>, Status> {
    audit::record(node, &request, "shutdown", MACHINE);
    node.power.ask(PowerRequest {
        action: PowerAction::PowerOff,
        force: request.get_ref().force,
        wipe: None,
    });
    Ok(Response::new(ShutdownResponse { boot_id: versions::boot_id() }))
}
