//! Sends the machine down and up again. The answer comes before that begins.

use corten_api::v1::{RebootRequest, RebootResponse};
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status};

use crate::node::{Node, PowerAction, PowerRequest};
use crate::rpc::audit;
use crate::versions;

pub(super) fn reboot(
    node: &Node,
    request: Request<RebootRequest>,
) -> Result<Response<RebootResponse>, Status> {
    audit::record(node, &request, "reboot", MACHINE);
    node.power.ask(PowerRequest { action: PowerAction::Reboot, force: request.get_ref().force, wipe: None });
    Ok(Response::new(RebootResponse { boot_id: versions::boot_id() }))
}
