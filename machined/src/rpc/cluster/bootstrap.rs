//! Starts etcd as a new cluster, once.

use corten_api::v1::{BootstrapRequest, BootstrapResponse};
use corten_api::{codes, error};
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status};

use super::control_plane;
use crate::controllers::runtime::bootstrap::BootstrapError;
use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn bootstrap(
    node: &Node,
    request: Request<BootstrapRequest>,
) -> Result<Response<BootstrapResponse>, Status> {
    audit::record(node, &request, "bootstrap etcd", MACHINE);
    control_plane::config(node)?;
    node.member.bootstrap().await?;
    Ok(Response::new(BootstrapResponse {}))
}

impl From<BootstrapError> for Status {
    fn from(failure: BootstrapError) -> Self {
        match failure {
            BootstrapError::Done(_) => {
                let hint = "nothing to do: osctl health shows how the cluster is";
                error::to_status(codes::CLUSTER_BOOTSTRAPPED, &failure, hint)
            }
            BootstrapError::Marker(_) => error::to_status(codes::CONFIG_STORE, &failure, "osctl get volumes"),
        }
    }
}
