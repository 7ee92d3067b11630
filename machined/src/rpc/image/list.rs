//! Images that containerd has for Kubernetes.

use corten_api::v1::{ListImagesRequest, ListImagesResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status};

use super::{connect, to_proto};

pub(super) async fn list(
    _request: Request<ListImagesRequest>,
) -> Result<Response<ListImagesResponse>, Status> {
    let listed = connect().await?.list().await;
    let mut images =
        listed.map_err(|failure| error::to_status(codes::INTERNAL, &failure, "osctl logs containerd"))?;
    images.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Response::new(ListImagesResponse { images: images.into_iter().map(to_proto::image).collect() }))
}
