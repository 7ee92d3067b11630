//! OCI archives into containerd, without a registry.
//!
//! An archive is a tar of an OCI image layout (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).
//! Its blobs go into containerd's content store under a lease, then each image of its index gets a name; containerd's CRI
//! plugin unpacks it when a container first needs it.

mod archive;
mod containerd;

use std::path::Path;

pub use archive::ArchiveError;
pub use containerd::{Containerd, ContainerdError, ImageInfo};

/// Why an archive was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The archive itself.
    #[error("read the OCI archive")]
    Archive(#[from] ArchiveError),
    /// containerd refused a blob or a name, or is not there.
    #[error("import into containerd")]
    Containerd(#[from] ContainerdError),
}

/// Imports every image of the archive at `path`; returns their names. What is there already is not written again.
///
/// # Errors
/// When the archive is damaged or containerd refuses it. Blobs that were written are collected by containerd.
pub async fn import(containerd: &Containerd, path: &Path) -> Result<Vec<ImageInfo>, ImportError> {
    let owned = path.to_owned();
    let archive = tokio::task::spawn_blocking(move || archive::Archive::open(&owned))
        .await
        .map_err(|_| ArchiveError::Interrupted)??;
    let images = archive.images()?;
    let missing = containerd.missing(&images).await?;
    if !missing.is_empty() {
        let lease = containerd.lease().await?;
        for blob in archive.blobs(&missing)? {
            containerd.write(&lease, path, &blob).await?;
        }
        for image in &missing {
            containerd.name(&lease, image).await?;
        }
        containerd.release(lease).await;
    }
    Ok(images)
}
