//! What start, stop and restart share.

use std::time::Duration;

use corten_api::v1::Service;
use corten_api::{codes, error};
use corten_resources::runtime::ServiceStatus;
use corten_supervisor::{SupervisorError, SupervisorHandle};
use tonic::Status;

use super::to_proto;
use crate::node::Node;

/// How long the answer waits for the state to change, so that it shows what the call did.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks the supervisor, and gives the state that followed, as far as it followed soon.
pub(super) async fn control(
    node: &Node,
    id: &str,
    ask: impl FnOnce(&SupervisorHandle) -> Result<(), SupervisorError>,
) -> Result<Option<Service>, Status> {
    let since = |status: Option<&ServiceStatus>| status.map(|status| (status.state, status.since));
    let before = since(node.store.get::<ServiceStatus>(id).as_ref().map(|status| &status.spec));
    ask(&node.supervisor).map_err(|failure| refusal(&failure))?;
    let changed = node.store.wait_for::<ServiceStatus>(id, |status| since(status) != before);
    let _ = tokio::time::timeout(PATIENCE, changed).await; // it may be there already: a start of what runs
    let after = node.store.get::<ServiceStatus>(id);
    Ok(after.map(|status| to_proto::service(node, id, &status.spec)))
}

fn refusal(failure: &SupervisorError) -> Status {
    match failure {
        SupervisorError::NotFound(_) => {
            error::to_status(codes::NOT_FOUND, failure, "osctl services list shows what there is")
        }
        SupervisorError::GoingDown => error::to_status(codes::MACHINE_STOPPING, failure, ""),
    }
}
