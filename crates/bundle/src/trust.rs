//! The keys that bundles may be signed with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use crate::digest::{Digest, parse_hex};
use crate::error::BundleError;

/// Public keys by their id, the SHA-256 of the key.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys {
    keys: BTreeMap<Digest, [u8; 32]>,
}

/// Why the trusted keys could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file or the directory could not be read.
    #[error("read trusted update keys from {path}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path} is not a public key: expected 64 hexadecimal digits")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl TrustedKeys {
    /// Loads every `*.pub` of a directory. A directory that does not exist has no keys.
    pub fn load(directory: &Path) -> Result<Self, TrustError> {
        let failed = |path: &Path, source| TrustError::Read { path: path.to_owned(), source };
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(directory, error)),
        };
        let mut trusted = Self::default();
        for entry in entries {
            let path = entry.map_err(|error| failed(directory, error))?.path();
            if path.extension().is_none_or(|extension| extension != "pub") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            if !trusted.add_hex(&text) {
                return Err(TrustError::Malformed { path });
            }
        }
        Ok(trusted)
    }

    /// Trusts a public key given as 64 hexadecimal digits; tells whether it is one.
    pub fn add_hex(&mut self, public: &str) -> bool {
        let Some(key) = parse_hex(public.trim()) else {
            return false;
        };
        self.keys.insert(Digest::of(&key), key);
        true
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// No key is trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn verify(&self, key_id: Digest, signed: &[u8], signature: &[u8]) -> Result<(), BundleError> {
        let key =
            self.keys.get(&key_id).ok_or(BundleError::UnknownKey { key_id, trusted: self.keys.len() })?;
        UnparsedPublicKey::new(&ED25519, key)
            .verify(signed, signature)
            .map_err(|_| BundleError::Signature { key_id })
    }
}
