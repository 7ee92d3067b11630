//! OCI archives into containerd, without a registry.
//!
//! An archive is a tar of an OCI image layout (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).
//! Its blobs go into containerd's content store under a lease, then each image of its index gets a name; containerd's CRI
//! plugin unpacks it when a container first needs it.

mod archive;
mod containerd;

use std::io;
use std::path::Path;

pub use archive::ArchiveError;
pub use containerd::{Containerd, ContainerdError, ImageInfo};

/// How the names begin of the files in which archives wait for their import.
pub const SPOOLED: &str = "corten-import-";

/// Removes the archives that a power cut left in `folder`: they are large, and nobody asks for them again.
///
/// # Errors
/// When one cannot be removed. The others are gone then, as far as they come before it.
pub fn forget_spooled(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(SPOOLED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

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
    let archive = blocking(move || archive::Archive::open(&owned)).await?;
    let images = archive.images()?;
    let missing = containerd.missing(&images).await?;
    if !missing.is_empty() {
        let lease = containerd.lease().await?;
        let wanted = missing.clone();
        for blob in blocking(move || archive.blobs(&wanted)).await? {
            containerd.write(&lease, path, &blob).await?;
        }
        for image in &missing {
            containerd.name(&lease, image).await?;
        }
        containerd.release(lease).await;
    }
    Ok(images)
}

/// Reads the archive on a thread of its own: the disk may be slow.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ArchiveError::Interrupted)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_of_an_import_that_was_cut_off_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["corten-import-1.tar", "corten-import-2.tar", "somebody-elses.tar"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        forget_spooled(dir.path()).unwrap();
        let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["somebody-elses.tar"]);
        assert!(forget_spooled(Path::new("/no/such/folder")).is_err());
    }
}
