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

    /// The secrets of the config, as they would be found on a disk in the clear: of each key a line, the others whole.
    pub fn secrets(&self) -> Result<Vec<Vec<u8>>> {
        let all = self.cluster().secrets()?;
        let others = [&all.join_token, &all.bootstrap_token, &all.encryption_key, &all.service_account_key];
        let authorities = [&all.os_ca, &all.kubernetes_ca, &all.aggregator_ca, &all.etcd_ca];
        let secrets = others.into_iter().chain(authorities.map(|ca| &ca.key_pem));
        // The first line between PEM's marks has the beginning of the key, or all of it.
        let lines = secrets.map(|secret| secret.expose().lines().find(|line| !line.starts_with("-----")));
        lines.map(|line| line.map(|line| line.as_bytes().to_vec()).context("a secret is empty")).collect()
    }
}

impl RawDisk {
    /// The copy's file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.0
    }

    /// How many of these texts it holds.
    pub fn count(&self, wanted: &[Vec<u8>]) -> Result<usize> {
        wanted.iter().map(|text| self.holds(text).map(usize::from)).sum()
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
