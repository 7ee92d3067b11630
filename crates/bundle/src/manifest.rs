//! What a bundle says about itself.

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::BundleError;

/// The manifest of a bundle. Fields that this version does not know are passed over: the signature covers the bytes,
/// not what is made of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Version that it brings.
    pub version: Version,
    /// Oldest version that may update to it.
    pub min_version: Version,
    /// Kubernetes version in it.
    pub kubernetes: String,
    /// What machines it is for, as `uname -m` names them. Example: `x86_64`.
    pub architecture: String,
    /// Config formats that it reads.
    pub config_formats: ConfigFormats,
    /// Root hash of the root image's verity tree.
    pub root_hash: Digest,
    /// The root image: squashfs and verity tree.
    pub root: PartInfo,
    /// The kernel image for the EFI partition.
    pub uki: PartInfo,
}

/// A range of config formats, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFormats {
    /// Oldest that is read.
    pub min: u32,
    /// Newest that is read.
    pub max: u32,
}

/// A part of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// Bytes.
    pub size: u64,
    /// Hash of these bytes.
    pub sha256: Digest,
}

impl ConfigFormats {
    /// The format is among them.
    pub fn contains(&self, format: u32) -> bool {
        (self.min..=self.max).contains(&format)
    }
}

impl Manifest {
    /// Refuses what is for other machines; `machine` is as `uname -m` names it.
    pub fn check_architecture(&self, machine: &str) -> Result<(), BundleError> {
        if self.architecture == machine {
            return Ok(());
        }
        Err(BundleError::Architecture { found: self.architecture.clone(), expected: machine.to_owned() })
    }

    /// Name that the bundle's file has.
    pub fn file_name(&self) -> String {
        format!("corten-{}-{}.bundle", self.version, self.architecture)
    }

    /// Parses the manifest and makes sure that its sizes can be added.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(BundleError::Manifest)?;
        if manifest.root.size == 0 || manifest.uki.size == 0 {
            return Err(BundleError::Sizes);
        }
        // The header comes on top, so leave room for it as well.
        let total = manifest.root.size.checked_add(manifest.uki.size).ok_or(BundleError::Sizes)?;
        if total > u64::MAX >> 1 {
            return Err(BundleError::Sizes);
        }
        Ok(manifest)
    }
}
