//! A kubeconfig with a new client certificate of an administrator.

use std::time::Duration;

use corten_api::v1::{KubeconfigRequest, KubeconfigResponse};
use corten_api::{codes, error};
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status};

use super::control_plane;
use crate::controllers::secrets::kubernetes::admin_kubeconfig;
use crate::node::Node;
use crate::rpc::audit;

/// Life of the certificate when the caller does not say, and the longest.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn kubeconfig(
    node: &Node,
    request: Request<KubeconfigRequest>,
) -> Result<Response<KubeconfigResponse>, Status> {
    audit::record(node, &request, "issue an administrator's kubeconfig", MACHINE);
    let config = control_plane::config(node)?;
    let lifetime = match request.into_inner().lifetime_seconds {
        0 => YEAR,
        seconds => YEAR.min(Duration::from_secs(seconds)),
    };
    let made = admin_kubeconfig(&config, lifetime);
    let kubeconfig = made.map_err(|failure| error::to_status(codes::INTERNAL, failure.as_ref(), ""))?;
    let context = format!("admin@{}", config.cluster.name);
    Ok(Response::new(KubeconfigResponse { kubeconfig, context }))
}
