//! The calls to containerd that an import needs.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::{
    CreateImageRequest, CreateRequest, DeleteRequest, Image, ListImagesRequest, UpdateImageRequest,
    WriteAction, WriteContentRequest,
};
use containerd_client::types::Descriptor;
use corten_constants::paths;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::archive::Blob;

/// The namespace of containerd that its CRI plugin uses.
const NAMESPACE: &str = "k8s.io";
/// Bytes per message of a blob.
const CHUNK: usize = 1 << 20;
/// No single blob takes longer.
const WRITE_DEADLINE: Duration = Duration::from_secs(600);
/// No other call takes longer.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Why containerd did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ContainerdError {
    /// The socket.
    #[error("connect to {}", paths::CONTAINERD_SOCKET)]
    Connect(#[source] tonic::transport::Error),
    /// A call.
    #[error("{doing}: {}", status.message())]
    Call {
        /// What was asked.
        doing: &'static str,
        /// The answer.
        status: Box<Status>,
    },
    /// Reading the archive while sending it.
    #[error("read a blob from the archive")]
    Read(#[from] io::Error),
}

/// An image in containerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Name with tag.
    pub name: String,
    /// Digest of the manifest or index.
    pub digest: String,
    /// Media type of what the digest names.
    pub media_type: String,
    /// Size of the manifest in bytes.
    pub size: u64,
}

/// A lease: what is written under it is not collected while it lives.
#[derive(Debug)]
pub(super) struct Lease(MetadataValue<Ascii>, String);

/// A connection to containerd.
#[derive(Debug, Clone)]
pub struct Containerd {
    channel: Channel,
}

impl Containerd {
    /// Connects to containerd's socket.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect() -> Result<Self, ContainerdError> {
        let connector = tower::service_fn(|_: http::Uri| async {
            let stream = tokio::net::UnixStream::connect(paths::CONTAINERD_SOCKET).await?;
            Ok::<_, io::Error>(hyper_util::rt::TokioIo::new(stream))
        });
        let endpoint = Endpoint::from_static("http://containerd").connect_timeout(CALL_DEADLINE);
        let channel = endpoint.connect_with_connector(connector).await.map_err(ContainerdError::Connect)?;
        Ok(Self { channel })
    }

    /// All images, by name.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub async fn list(&self) -> Result<Vec<ImageInfo>, ContainerdError> {
        let request = self.request(ListImagesRequest::default(), None);
        let answer = ImagesClient::new(self.channel.clone()).list(request).await;
        let images = answer.map_err(|status| call("list images", status))?.into_inner().images;
        Ok(images.into_iter().filter_map(info).collect())
    }

    /// Those of `images` whose name is absent or means another digest.
    pub(super) async fn missing(&self, images: &[ImageInfo]) -> Result<Vec<ImageInfo>, ContainerdError> {
        let have = self.list().await?;
        let there = |image: &ImageInfo| have.iter().any(|h| h.name == image.name && h.digest == image.digest);
        Ok(images.iter().filter(|image| !there(image)).cloned().collect())
    }

    pub(super) async fn lease(&self) -> Result<Lease, ContainerdError> {
        let id = format!("corten-import-{}", uuid::Uuid::new_v4());
        // A node that dies meanwhile leaves nothing behind for good.
        let expire = jiff::Timestamp::now() + Duration::from_secs(3600);
        let labels = HashMap::from([("containerd.io/gc.expire".to_owned(), expire.to_string())]);
        let request = self.request(CreateRequest { id: id.clone(), labels }, None);
        LeasesClient::new(self.channel.clone())
            .create(request)
            .await
            .map_err(|status| call("create a lease", status))?;
        let value =
            id.parse().map_err(|_| call("create a lease", Status::internal("the id is not ASCII")))?;
        Ok(Lease(value, id))
    }

    pub(super) async fn release(&self, lease: Lease) {
        let request = self.request(DeleteRequest { id: lease.1, sync: false }, None);
        if let Err(status) = LeasesClient::new(self.channel.clone()).delete(request).await {
            tracing::debug!(error = status.message(), "a lease stays until it expires");
        }
    }

    /// Writes a blob from the archive; one that is there already is left alone.
    pub(super) async fn write(
        &self,
        lease: &Lease,
        archive: &Path,
        blob: &Blob,
    ) -> Result<(), ContainerdError> {
        let mut file = tokio::fs::File::open(archive).await?;
        file.seek(io::SeekFrom::Start(blob.offset)).await?;
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let reader = tokio::spawn(send(file, blob.clone(), sender));
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let request = self.request(stream, Some(lease));
        let written = tokio::time::timeout(WRITE_DEADLINE, async {
            let mut client = ContentClient::new(self.channel.clone());
            let mut answers = client.write(request).await?.into_inner();
            while let Some(answer) = answers.next().await {
                answer?;
            }
            Ok::<(), Status>(())
        });
        let result = match written.await {
            Err(_) => Err(Status::deadline_exceeded("containerd did not take the blob in time")),
            Ok(Err(status)) if status.code() == Code::AlreadyExists => Ok(()),
            Ok(other) => other,
        };
        if let Ok(Err(error)) = reader.await {
            return Err(error.into());
        }
        result.map_err(|status| call("write a blob", status))
    }

    /// Gives the image its name, or moves the name to it.
    pub(super) async fn name(&self, lease: &Lease, image: &ImageInfo) -> Result<(), ContainerdError> {
        let record = Image {
            name: image.name.clone(),
            target: Some(Descriptor {
                media_type: image.media_type.clone(),
                digest: image.digest.clone(),
                size: i64::try_from(image.size).unwrap_or(i64::MAX),
                ..Descriptor::default()
            }),
            ..Image::default()
        };
        let mut client = ImagesClient::new(self.channel.clone());
        let create = CreateImageRequest { image: Some(record.clone()), ..CreateImageRequest::default() };
        match client.create(self.request(create, Some(lease))).await {
            Err(status) if status.code() == Code::AlreadyExists => {
                let update = UpdateImageRequest { image: Some(record), ..UpdateImageRequest::default() };
                client.update(self.request(update, Some(lease))).await.map(drop)
            }
            other => other.map(drop),
        }
        .map_err(|status| call("name an image", status))
    }

    fn request<T>(&self, message: T, lease: Option<&Lease>) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
        match lease {
            Some(lease) => drop(request.metadata_mut().insert("containerd-lease", lease.0.clone())),
            None => request.set_timeout(CALL_DEADLINE),
        }
        request
    }
}

/// Sends a blob in chunks and ends with a commit that carries its size, digest and labels.
async fn send(
    mut file: tokio::fs::File,
    blob: Blob,
    sender: tokio::sync::mpsc::Sender<WriteContentRequest>,
) -> io::Result<()> {
    let total = i64::try_from(blob.size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let message = |action: WriteAction, offset: i64, data: Vec<u8>| WriteContentRequest {
        action: action.into(),
        r#ref: blob.digest.clone(),
        total,
        expected: blob.digest.clone(),
        offset,
        data,
        ..WriteContentRequest::default()
    };
    let mut offset = 0i64;
    while offset < total {
        let want = usize::try_from(total - offset).unwrap_or(CHUNK).min(CHUNK);
        let mut data = vec![0; want];
        file.read_exact(&mut data).await?;
        if sender.send(message(WriteAction::Write, offset, data)).await.is_err() {
            return Ok(()); // containerd has the blob already, or has refused it: the answer tells
        }
        offset += i64::try_from(want).unwrap_or(i64::MAX);
    }
    let mut commit = message(WriteAction::Commit, offset, Vec::new());
    commit.labels = blob.labels.clone();
    // A closed channel means that the answer came first.
    let _ = sender.send(commit).await;
    Ok(())
}

fn info(image: Image) -> Option<ImageInfo> {
    let target = image.target?;
    Some(ImageInfo {
        name: image.name,
        digest: target.digest,
        media_type: target.media_type,
        size: u64::try_from(target.size).unwrap_or(0),
    })
}

fn call(doing: &'static str, status: Status) -> ContainerdError {
    ContainerdError::Call { doing, status: Box::new(status) }
}
