//! Makes the other slot the one to boot.

use corten_api::v1::{RollbackRequest, RollbackResponse};
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status};

use crate::controllers::config::acquire::Successor;
use crate::node::{Node, PowerAction, PowerRequest};
use crate::rpc::audit;
use crate::versions;

pub(super) async fn rollback(
    node: &Node,
    request: Request<RollbackRequest>,
) -> Result<Response<RollbackResponse>, Status> {
    audit::record(node, &request, "roll back", MACHINE);
    node.config.hand_over(node.updates.running(), Successor::OtherSlot).await;
    let version = node.updates.roll_back().await?;
    if !request.get_ref().no_reboot {
        node.power.ask(PowerRequest { action: PowerAction::Reboot, ..PowerRequest::default() });
    }
    Ok(Response::new(RollbackResponse { boot_id: versions::boot_id(), version }))
}
