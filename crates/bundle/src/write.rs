//! Makes a bundle.

use std::io::{Read, Seek, Write};

use aws_lc_rs::digest::{Context, SHA256};
use semver::Version;

use crate::digest::Digest;
use crate::error::BundleError;
use crate::header::sign;
use crate::key::SigningKey;
use crate::manifest::{ConfigFormats, Manifest, PartInfo};
use crate::payload::Part;

const CHUNK: usize = 1 << 20;

/// A manifest without what is computed from the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Version that it brings.
    pub version: Version,
    /// Oldest version that may update to it.
    pub min_version: Version,
    /// Kubernetes version in it.
    pub kubernetes: String,
    /// What machines it is for, as `uname -m` names them.
    pub architecture: String,
    /// Config formats that it reads.
    pub config_formats: ConfigFormats,
    /// Root hash of the root image's verity tree.
    pub root_hash: Digest,
}

/// Writes a whole bundle. The parts are read twice: the header, with their hashes, comes first.
pub fn write(
    mut out: impl Write,
    key: &SigningKey,
    draft: Draft,
    mut root: impl Read + Seek,
    mut uki: impl Read + Seek,
) -> Result<Manifest, BundleError> {
    let manifest = Manifest {
        version: draft.version,
        min_version: draft.min_version,
        kubernetes: draft.kubernetes,
        architecture: draft.architecture,
        config_formats: draft.config_formats,
        root_hash: draft.root_hash,
        root: copy(&mut root, &mut std::io::sink())?,
        uki: copy(&mut uki, &mut std::io::sink())?,
    };
    let failed = |source| BundleError::Io { what: "write the update bundle", source };
    out.write_all(&sign(&manifest, key)?).map_err(failed)?;
    if copy(&mut root, &mut out)? != manifest.root {
        return Err(BundleError::Changed(Part::Root));
    }
    if copy(&mut uki, &mut out)? != manifest.uki {
        return Err(BundleError::Changed(Part::Uki));
    }
    out.flush().map_err(failed)?;
    Ok(manifest)
}

/// Copies a part from its start and says what it was.
fn copy(from: &mut (impl Read + Seek), to: &mut impl Write) -> Result<PartInfo, BundleError> {
    let unread = |source| BundleError::Io { what: "read a part of the update bundle", source };
    let unwritten = |source| BundleError::Io { what: "write the update bundle", source };
    from.rewind().map_err(unread)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let got = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unread(error)),
        };
        let bytes = buffer.get(..got).unwrap_or_default();
        context.update(bytes);
        to.write_all(bytes).map_err(unwritten)?;
        size += bytes.len() as u64;
    }
    Ok(PartInfo { size, sha256: Digest::finish(context) })
}
