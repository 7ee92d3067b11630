//! `ImageService`.

use std::path::PathBuf;

use corten_api::v1::image_service_server::ImageService;
use corten_api::v1::{Image, ImportImageRequest, ImportImageResponse, ListImagesRequest, ListImagesResponse};
use corten_api::{codes, error};
use tokio::io::AsyncWriteExt;
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use crate::images::{self, Containerd, ImageInfo, ImportError};

/// Where an archive waits while it comes in; on EPHEMERAL, not in memory.
const SPOOL: &str = "/var/tmp";
/// The largest archive, in bytes.
const LIMIT: u64 = 16 << 30;

#[tonic::async_trait]
impl ImageService for Api {
    async fn list(&self, _request: Request<ListImagesRequest>) -> Result<Response<ListImagesResponse>, Status> {
        let mut images = connect().await?.list().await.map_err(|e| error::to_status(codes::INTERNAL, &e, ""))?;
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Response::new(ListImagesResponse { images: images.into_iter().map(to_proto).collect() }))
    }

    async fn import(
        &self,
        request: Request<Streaming<ImportImageRequest>>,
    ) -> Result<Response<ImportImageResponse>, Status> {
        let containerd = connect().await?;
        let spool = Spool::new();
        receive(request.into_inner(), &spool.0).await?;
        let images = images::import(&containerd, &spool.0).await.map_err(|e| refusal(&e))?;
        Ok(Response::new(ImportImageResponse { images: images.into_iter().map(to_proto).collect() }))
    }
}

/// A file that is gone when the call is over, however it ends.
struct Spool(PathBuf);

impl Spool {
    fn new() -> Self {
        Self(PathBuf::from(SPOOL).join(format!("corten-import-{}.tar", uuid::Uuid::new_v4())))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn receive(mut stream: Streaming<ImportImageRequest>, path: &std::path::Path) -> Result<(), Status> {
    let io = |e: std::io::Error| error::to_status(codes::INTERNAL, &e, "is EPHEMERAL full? osctl get volumes");
    tokio::fs::create_dir_all(SPOOL).await.map_err(io)?;
    let mut file = tokio::fs::File::create(path).await.map_err(io)?;
    let mut size = 0u64;
    while let Some(message) = stream.message().await? {
        size += message.chunk.len() as u64;
        if size > LIMIT {
            return Err(error::status(codes::IMAGE_INVALID, format!("the archive is larger than {LIMIT} bytes"), ""));
        }
        file.write_all(&message.chunk).await.map_err(io)?;
    }
    file.flush().await.map_err(io)
}

async fn connect() -> Result<Containerd, Status> {
    Containerd::connect()
        .await
        .map_err(|e| error::to_status(codes::MACHINE_BOOTING, &e, "wait until the service containerd is ready"))
}

fn refusal(failure: &ImportError) -> Status {
    match failure {
        ImportError::Archive(_) => {
            error::to_status(codes::IMAGE_INVALID, failure, "an OCI image layout in a tar file is needed")
        }
        ImportError::Containerd(_) => error::to_status(codes::IMAGE_INVALID, failure, "osctl logs containerd"),
    }
}

fn to_proto(image: ImageInfo) -> Image {
    Image { name: image.name, digest: image.digest, size_bytes: 0, created_unix_ms: 0 }
}
