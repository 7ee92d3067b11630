//! Where the node fetches a bundle from by itself: a web server, or an OCI registry.
//!
//! A bundle in a registry is an artifact with one layer, the bundle. Nothing that comes from there is believed: the
//! bundle is signed.

use bytes::{Bytes, BytesMut};
use corten_bundle::{BundleError, Header, Parsed};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

/// Bytes that are handed on at once, at most.
const CHUNK: usize = 1 << 20;
/// For a server to accept, and between two pieces of what it sends.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

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
    /// The stream broke.
    #[error("read the bundle")]
    Read(#[source] std::io::Error),
    /// The header.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It ended before the header did.
    #[error("the bundle ends after {0} bytes, inside its header")]
    Truncated(usize),
}

/// A bundle that is coming in.
pub struct Incoming {
    stream: BoxStream<'static, std::io::Result<Bytes>>,
    /// Came, but was not handed on yet.
    rest: BytesMut,
}

/// Starts to fetch. `insecure` allows a registry without TLS.
///
/// # Errors
/// When the server cannot be reached or has no such thing.
pub async fn open(origin: &Origin, insecure: bool) -> Result<Incoming, SourceError> {
    let stream = match origin {
        Origin::Url(url) => from_url(url).await?,
        Origin::Image(image) => from_registry(image, insecure).await?,
    };
    Ok(Incoming { stream, rest: BytesMut::new() })
}

impl Incoming {
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

    /// Passes over bytes of the payload that are here already.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn skip(&mut self, mut bytes: u64) -> Result<(), SourceError> {
        while bytes > 0 {
            if self.rest.is_empty() && !self.more().await? {
                return Ok(()); // what is missing is told by whoever counts
            }
            let step = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.rest.len());
            let _ = self.rest.split_to(step);
            bytes -= step as u64;
        }
        Ok(())
    }

    /// The next piece of the payload.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SourceError> {
        if self.rest.is_empty() && !self.more().await? {
            return Ok(None);
        }
        let length = self.rest.len().min(CHUNK);
        Ok(Some(self.rest.split_to(length).freeze()))
    }

    async fn more(&mut self) -> Result<bool, SourceError> {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        let next = next.map_err(|_| SourceError::Read(std::io::ErrorKind::TimedOut.into()))?;
        match next {
            Some(bytes) => self.rest.extend_from_slice(&bytes.map_err(SourceError::Read)?),
            None => return Ok(false),
        }
        Ok(true)
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("waiting", &self.rest.len()).finish_non_exhaustive()
    }
}

async fn from_url(url: &str) -> Result<BoxStream<'static, std::io::Result<Bytes>>, SourceError> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(SourceError::Url(url.to_owned()));
    }
    let failed = |source| SourceError::Http { url: url.to_owned(), source };
    let client = reqwest::Client::builder().connect_timeout(PATIENCE).build().map_err(failed)?;
    let answer =
        client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    Ok(answer.bytes_stream().map_err(std::io::Error::other).boxed())
}

async fn from_registry(
    image: &str,
    insecure: bool,
) -> Result<BoxStream<'static, std::io::Result<Bytes>>, SourceError> {
    let reference: Reference =
        image.parse().map_err(|source| SourceError::Reference { image: image.to_owned(), source })?;
    let failed = |source| SourceError::Registry { image: image.to_owned(), source: Box::new(source) };
    let protocol = if insecure { ClientProtocol::Http } else { ClientProtocol::Https };
    let client =
        Client::new(ClientConfig { protocol, connect_timeout: Some(PATIENCE), ..ClientConfig::default() });
    let (manifest, _) =
        client.pull_image_manifest(&reference, &RegistryAuth::Anonymous).await.map_err(failed)?;
    let [layer] = manifest.layers.as_slice() else {
        return Err(SourceError::Layers { image: image.to_owned(), layers: manifest.layers.len() });
    };
    let blob = client.pull_blob_stream(&reference, layer).await.map_err(failed)?;
    Ok(blob.stream.boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(pieces: &[&'static [u8]]) -> Incoming {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        Incoming { stream: futures::stream::iter(pieces).boxed(), rest: BytesMut::new() }
    }

    #[tokio::test]
    async fn bytes_that_are_here_already_are_passed_over() {
        let mut bundle = incoming(&[b"abc", b"def"]);
        bundle.skip(4).await.unwrap();
        assert_eq!(bundle.chunk().await.unwrap().unwrap(), "ef");
        assert_eq!(bundle.chunk().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_stream_that_ends_inside_the_header_says_so() {
        let error = incoming(&[b"CORT"]).header().await.unwrap_err();
        assert!(matches!(error, SourceError::Truncated(4)), "{error}");
    }

    #[tokio::test]
    async fn only_web_addresses_and_references_are_taken() {
        for origin in [Origin::Url("ftp://x/y".into()), Origin::Image("UPPER//".into())] {
            assert!(open(&origin, false).await.is_err(), "{origin:?}");
        }
    }
}
