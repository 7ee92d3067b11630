//! `ImageService`.

mod import;
mod list;
mod spool;
mod to_proto;

use corten_api::v1::image_service_server::ImageService;
use corten_api::v1::{ImportImageRequest, ImportImageResponse, ListImagesRequest, ListImagesResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use crate::images::Containerd;

#[tonic::async_trait]
impl ImageService for Api {
    async fn list(
        &self,
        request: Request<ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        list::list(request).await
    }

    async fn import(
        &self,
        request: Request<Streaming<ImportImageRequest>>,
    ) -> Result<Response<ImportImageResponse>, Status> {
        import::import(&self.0, request).await
    }
}

async fn connect() -> Result<Containerd, Status> {
    let hint = "wait until the service containerd is ready: osctl services list";
    Containerd::connect().await.map_err(|failure| error::to_status(codes::MACHINE_BOOTING, &failure, hint))
}
