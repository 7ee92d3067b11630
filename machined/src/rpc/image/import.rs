//! Takes an OCI archive as a stream and makes its images usable by pods.

use corten_api::v1::{ImportImageRequest, ImportImageResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status, Streaming};

use super::spool::Spool;
use super::{connect, to_proto};
use crate::images::{self, ImportError};
use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn import(
    node: &Node,
    request: Request<Streaming<ImportImageRequest>>,
) -> Result<Response<ImportImageResponse>, Status> {
    audit::record(node, &request, "import images", "containerd");
    let containerd = connect().await?;
    let spool = Spool::new();
    spool.receive(request.into_inner()).await?;
    let images = images::import(&containerd, spool.path()).await?;
    Ok(Response::new(ImportImageResponse { images: images.into_iter().map(to_proto::image).collect() }))
}

impl From<ImportError> for Status {
    fn from(failure: ImportError) -> Self {
        let hint = match &failure {
            ImportError::Archive(_) => "an OCI image layout in a tar file is needed",
            ImportError::Containerd(_) => "osctl logs containerd",
        };
        error::to_status(codes::IMAGE_INVALID, &failure, hint)
    }
}
