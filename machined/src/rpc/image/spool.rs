//! A file that takes an archive while it comes in: on EPHEMERAL, not in memory, and gone when the call is over. What a
//! power cut leaves is removed when EPHEMERAL is prepared.

use std::path::{Path, PathBuf};

use corten_api::v1::ImportImageRequest;
use corten_api::{codes, error};
use tokio::io::AsyncWriteExt;
use tonic::{Status, Streaming};

use crate::images::SPOOLED;

/// Where it lies.
const SPOOL: &str = "/var/tmp";
/// The largest archive, in bytes.
const LIMIT: u64 = 16 << 30;

pub(super) struct Spool(PathBuf);

impl Spool {
    pub(super) fn new() -> Self {
        Self(PathBuf::from(SPOOL).join(format!("{SPOOLED}{}.tar", uuid::Uuid::new_v4())))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes everything that comes.
    pub(super) async fn receive(&self, mut stream: Streaming<ImportImageRequest>) -> Result<(), Status> {
        let io =
            |failure| error::to_status(codes::INTERNAL, &failure, "is EPHEMERAL full? osctl get volumes");
        tokio::fs::create_dir_all(SPOOL).await.map_err(io)?;
        let mut file = tokio::fs::File::create(&self.0).await.map_err(io)?;
        let mut size = 0;
        while let Some(message) = stream.message().await? {
            size += message.chunk.len() as u64;
            if size > LIMIT {
                let message = format!("the archive is larger than {LIMIT} bytes");
                return Err(error::status(codes::IMAGE_INVALID, message, ""));
            }
            file.write_all(&message.chunk).await.map_err(io)?;
        }
        file.flush().await.map_err(io)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}
