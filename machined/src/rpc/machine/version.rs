//! What the node runs.

use std::sync::LazyLock;

use corten_api::v1::{VersionRequest, VersionResponse};
use tonic::{Request, Response, Status};

use crate::versions;

/// Nothing of it changes while the machine is up.
static ANSWER: LazyLock<VersionResponse> = LazyLock::new(|| {
    let components = versions::components();
    VersionResponse {
        version: versions::version().into(),
        kubernetes: components.kubernetes.clone(),
        containerd: components.containerd.clone(),
        etcd: components.etcd.clone(),
        kernel: versions::kernel(),
        architecture: std::env::consts::ARCH.into(),
        root_hash: versions::root_hash(),
    }
});

pub(super) fn version(_request: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
    Ok(Response::new(ANSWER.clone()))
}
