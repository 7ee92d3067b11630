//! A bundle on this computer. Its signature is the node's business: the node knows the keys.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use corten_bundle::{BundleError, Header};
use corten_client::ExitCode;

use crate::error::CommandError;

/// What is in the file, as far as an upload needs it.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) path: PathBuf,
    pub(super) header: Vec<u8>,
    pub(super) version: String,
}

impl Bundle {
    /// Reads the header, and makes sure that the payload is whole.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let io = |source| CommandError::io("read", path.display().to_string(), source);
        let invalid = |error| refuse(path, error);
        let file = File::open(path).map_err(io)?;
        let have = file.metadata().map_err(io)?.len();
        let header = Header::read(file).map_err(invalid)?;
        let manifest = header.unverified_manifest().map_err(invalid)?;
        let need = header.len() as u64 + manifest.root.size + manifest.uki.size;
        if have < need {
            return Err(invalid(BundleError::Truncated { have, need }));
        }
        Ok(Self {
            path: path.to_owned(),
            header: header.as_bytes().to_vec(),
            version: manifest.version.to_string(),
        })
    }

    /// The file, at this byte of the payload.
    pub(super) fn payload_from(&self, offset: u64) -> Result<File, CommandError> {
        let mut file = File::open(&self.path).map_err(|source| self.failed(source))?;
        let at = SeekFrom::Start(self.header.len() as u64 + offset);
        file.seek(at).map_err(|source| self.failed(source))?;
        Ok(file)
    }

    /// The file could not be read.
    pub(super) fn failed(&self, source: std::io::Error) -> CommandError {
        CommandError::io("read", self.path.display().to_string(), source)
    }
}

fn refuse(path: &Path, error: BundleError) -> CommandError {
    if let BundleError::Io { source, .. } = error {
        return CommandError::io("read", path.display().to_string(), source);
    }
    let mut message = format!("{}: {error}", path.display());
    if let Some(cause) = std::error::Error::source(&error) {
        message.push_str(&format!(": {cause}"));
    }
    CommandError::Failed {
        code: corten_api::codes::UPDATE_INVALID,
        message,
        exit_code: ExitCode::Invalid,
        hint: "fetch the file again; 'cargo xtask image' makes one in _out/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_bundle_is_refused_without_a_node() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bundle");
        std::fs::write(&path, b"CORTEN").unwrap();
        let error = Bundle::open(&path).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Invalid);
        assert!(error.to_string().contains("cut off: 6 of 16 bytes"), "{error}");
        std::fs::write(&path, b"#!/bin/sh").unwrap();
        assert!(Bundle::open(&path).unwrap_err().to_string().contains("not an update bundle"));
    }
}
