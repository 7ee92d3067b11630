//! What is really on the disk of a machine that is off.

use crate::TestNode;
use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use memchr::memmem;
use rustix::fs::{SeekFrom, seek};
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// A raw, sparse copy of a system disk. It is removed in the end.
#[derive(Debug)]
pub struct RawDisk(Utf8PathBuf);

impl TestNode {
    /// Everything that the machine wrote is in its disk file or nowhere.
    pub fn raw_disk(&self) -> Result<RawDisk> {
        let raw = RawDisk(self.cluster().dir().join("search.raw"));
        self.machine().export_disk("system", raw.path())?;
        Ok(raw)
    }

    /// A secret of the config that would be found on a disk in the clear.
    pub fn secret(&self) -> Result<Vec<u8>> {
        let config = std::fs::read_to_string(self.cluster().config_file())?;
        let token = config.lines().find_map(|line| line.trim().strip_prefix("token: "));
        Ok(token.context("the config has a token")?.trim_matches('"').as_bytes().to_vec())
    }
}

impl RawDisk {
    /// The copy's file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.0
    }

    /// Searched in pieces that overlap. What was never written, or discarded, is a hole of the file.
    pub fn holds(&self, wanted: &[u8]) -> Result<bool> {
        let file = File::open(&self.0)?;
        let (mut piece, finder) = (vec![0; 8 << 20], memmem::Finder::new(wanted));
        let mut at = 0;
        // No data behind that place is an error of its own, and the end.
        while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
            let length = file.read_at(&mut piece, data)?;
            if finder.find(&piece[..length]).is_some() {
                return Ok(true);
            }
            let overlap = if length == piece.len() { wanted.len() } else { 0 };
            at = data + u64::try_from(length - overlap)?;
        }
        Ok(false)
    }
}

impl Drop for RawDisk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
