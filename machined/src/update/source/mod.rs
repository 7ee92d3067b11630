//! Where the node fetches a bundle from by itself: a web server, or an OCI registry.
//!
//! A bundle in a registry is an artifact with one layer, the bundle. Nothing that comes from there is believed: the
//! bundle is signed. A connection that breaks is made again, for what is missing; a server that cannot do that sends all
//! of it, and what is here already is passed over.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use corten_bundle::{BundleError, Header, Parsed};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use reqwest::StatusCode;
use reqwest::header::RANGE;

/// Bytes that are handed on at once, at most.
const CHUNK: usize = 1 << 20;
/// For a server to accept, and between two pieces of what it sends.
const PATIENCE: Duration = Duration::from_secs(30);
/// For all that it takes until a server begins to send what was asked for: names, connections, redirections, a token.
const ANSWER: Duration = Duration::from_secs(60);
/// Connections in a row that bring nothing, before it is given up.
const ATTEMPTS: u32 = 5;

/// Where from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `http://` or `https://`.
    Url(String),
    /// Reference of an OCI artifact.
    Image(String),
}

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A URL of another kind.
    #[error("{0:?} is not a URL that begins with http:// or https://")]
    Url(String),
    /// HTTP.
    #[error("fetch {url}")]
    Http {
        /// From where.
        url: String,
        /// Cause.
        source: reqwest::Error,
    },
    /// A reference that is none.
    #[error("{image:?} is not a reference of an OCI artifact")]
    Reference {
        /// What was given.
        image: String,
        /// Cause.
        source: oci_client::ParseError,
    },
    /// The registry.
    #[error("pull {image}")]
    Registry {
        /// What was asked for.
        image: String,
        /// Cause.
        source: Box<oci_client::errors::OciDistributionError>,
    },
    /// Not one layer.
    #[error("{image} has {layers} layers: an update bundle has one")]
    Layers {
        /// What was asked for.
        image: String,
        /// How many it has.
        layers: usize,
    },
    /// Accepted, and then nothing.
    #[error("the server did not answer within {} seconds", ANSWER.as_secs())]
    Silent,
    /// The stream broke.
    #[error("read the bundle")]
    Read(#[source] io::Error),
    /// The header.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It ended before the header did.
    #[error("the bundle ends after {0} bytes, inside its header")]
    Truncated(usize),
}

/// What a server sends, and the byte of the bundle that it begins at.
struct Opened {
    start: u64,
    stream: BoxStream<'static, io::Result<Bytes>>,
}

/// Asks for the bundle from this byte on.
type Open = Box<dyn Fn(u64) -> BoxFuture<'static, Result<Opened, SourceError>> + Send + Sync>;

/// A bundle that is coming in.
pub struct Incoming {
    open: Open,
    stream: BoxStream<'static, io::Result<Bytes>>,
    /// Bytes of the bundle that came so far, handed on or not.
    position: u64,
    /// Bytes that come once more, because the server began before the position.
    surplus: u64,
    /// Came, but was not handed on yet.
    rest: BytesMut,
    /// Connections that brought nothing since the last byte.
    failed: u32,
}

/// Starts to fetch. `insecure` allows a registry without TLS.
///
/// # Errors
/// When the server cannot be reached or has no such thing.
pub async fn open(origin: &Origin, insecure: bool) -> Result<Incoming, SourceError> {
    // Both clients take the process' provider of cryptography, and panic when there is none. A second one is refused,
    // which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let open = match origin {
        Origin::Url(url) => from_url(url)?,
        Origin::Image(image) => from_registry(image, insecure).await?,
    };
    Incoming::start(open).await
}

impl Incoming {
    async fn start(open: Open) -> Result<Self, SourceError> {
        let stream = in_time(open(0)).await?.stream;
        Ok(Self { open, stream, position: 0, surplus: 0, rest: BytesMut::new(), failed: 0 })
    }

    /// The header of the bundle, whole.
    ///
    /// # Errors
    /// When the stream ends before it, or it is no bundle.
    pub async fn header(&mut self) -> Result<Vec<u8>, SourceError> {
        loop {
            if let Parsed::Whole(header) = Header::parse(&self.rest)? {
                return Ok(self.rest.split_to(header.len()).to_vec());
            }
            if !self.more().await? {
                return Err(SourceError::Truncated(self.rest.len()));
            }
        }
    }

    /// Passes over bytes of the payload that are here already: they are not even sent, if the server can.
    ///
    /// # Errors
    /// When the server does not go on from there.
    pub async fn skip(&mut self, bytes: u64) -> Result<(), SourceError> {
        let waiting = self.rest.len() as u64;
        if bytes > waiting {
            self.rest.clear();
            self.position += bytes - waiting;
            return self.reopen().await;
        }
        self.rest.advance(usize::try_from(bytes).unwrap_or(self.rest.len()));
        Ok(())
    }

    /// The next piece of the payload.
    ///
    /// # Errors
    /// When the stream breaks, and does not go on.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SourceError> {
        if self.rest.is_empty() && !self.more().await? {
            return Ok(None);
        }
        let length = self.rest.len().min(CHUNK);
        Ok(Some(self.rest.split_to(length).freeze()))
    }

    async fn more(&mut self) -> Result<bool, SourceError> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            let next = next.unwrap_or_else(|_| Some(Err(io::ErrorKind::TimedOut.into())));
            match next.transpose() {
                Ok(Some(bytes)) => {
                    if self.take(bytes) {
                        return Ok(true);
                    }
                }
                Ok(None) => return Ok(false), // what is missing is told by whoever counts
                Err(error) => self.go_on(error).await?,
            }
        }
    }

    /// Keeps what is new; tells whether anything was.
    fn take(&mut self, mut bytes: Bytes) -> bool {
        let known = usize::try_from(self.surplus).unwrap_or(usize::MAX).min(bytes.len());
        bytes.advance(known);
        self.surplus -= known as u64;
        self.position += bytes.len() as u64;
        self.rest.extend_from_slice(&bytes);
        if !bytes.is_empty() {
            self.failed = 0;
        }
        !bytes.is_empty()
    }

    /// Connects again after a break, until it works or is given up.
    async fn go_on(&mut self, error: io::Error) -> Result<(), SourceError> {
        let mut error = SourceError::Read(error);
        loop {
            self.failed += 1;
            if self.failed > ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(at = self.position, error = crate::errors::chain(&error), "the transfer broke");
            tokio::time::sleep(Duration::from_secs(1 << (self.failed - 1))).await;
            match self.reopen().await {
                Ok(()) => return Ok(()),
                Err(failure) => error = failure,
            }
        }
    }

    async fn reopen(&mut self) -> Result<(), SourceError> {
        let Opened { start, stream } = in_time((self.open)(self.position)).await?;
        self.surplus = self.position.saturating_sub(start);
        self.stream = stream;
        Ok(())
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("position", &self.position).finish_non_exhaustive()
    }
}

/// A server that took the connection may still never answer.
async fn in_time<T>(answer: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
    tokio::time::timeout(ANSWER, answer).await.unwrap_or(Err(SourceError::Silent))
}

fn from_url(url: &str) -> Result<Open, SourceError> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(SourceError::Url(url.to_owned()));
    }
    let failed = |source| SourceError::Http { url: url.to_owned(), source };
    let client = reqwest::Client::builder().connect_timeout(PATIENCE).build().map_err(failed)?;
    let url = url.to_owned();
    Ok(Box::new(move |from| get(client.clone(), url.clone(), from).boxed()))
}

async fn get(client: reqwest::Client, url: String, from: u64) -> Result<Opened, SourceError> {
    let mut request = client.get(&url);
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(|source| SourceError::Http { url, source })?;
    let start = if answer.status() == StatusCode::PARTIAL_CONTENT { from } else { 0 };
    Ok(Opened { start, stream: answer.bytes_stream().map_err(io::Error::other).boxed() })
}

async fn from_registry(image: &str, insecure: bool) -> Result<Open, SourceError> {
    let reference: Reference =
        image.parse().map_err(|source| SourceError::Reference { image: image.to_owned(), source })?;
    let failed = |source| SourceError::Registry { image: image.to_owned(), source: Box::new(source) };
    let protocol = if insecure { ClientProtocol::Http } else { ClientProtocol::Https };
    let client =
        Client::new(ClientConfig { protocol, connect_timeout: Some(PATIENCE), ..ClientConfig::default() });
    let manifest =
        async { client.pull_image_manifest(&reference, &RegistryAuth::Anonymous).await.map_err(failed) };
    let (manifest, _) = in_time(manifest).await?;
    let [layer] = manifest.layers.as_slice() else {
        return Err(SourceError::Layers { image: image.to_owned(), layers: manifest.layers.len() });
    };
    let (layer, image) = (layer.clone(), image.to_owned());
    Ok(Box::new(move |from| {
        pull(client.clone(), reference.clone(), layer.clone(), image.clone(), from).boxed()
    }))
}

async fn pull(
    client: Client,
    reference: Reference,
    layer: OciDescriptor,
    image: String,
    from: u64,
) -> Result<Opened, SourceError> {
    let blob = match from {
        0 => client.pull_blob_stream(&reference, &layer).await.map(BlobResponse::Full),
        from => client.pull_blob_stream_partial(&reference, &layer, from, None).await,
    };
    match blob.map_err(|source| SourceError::Registry { image, source: Box::new(source) })? {
        BlobResponse::Full(blob) => Ok(Opened { start: 0, stream: blob.stream }),
        BlobResponse::Partial(blob) => Ok(Opened { start: from, stream: blob.stream }),
    }
}

#[cfg(test)]
mod tests;
