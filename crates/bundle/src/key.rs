//! The key that signs bundles. Only the build has one.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::digest::{Digest, parse_hex};

/// An Ed25519 key pair.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The random generator or the key itself failed.
    #[error("make a signing key")]
    Generate,
    /// It is neither of the forms that are read.
    #[error("this is not an Ed25519 key: expected PKCS#8 in PEM, or a seed of 64 hexadecimal digits")]
    Malformed,
    /// What is wrong is in this file.
    #[error("load the signing key {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KeyError>,
    },
    /// The file could not be read.
    #[error("read the signing key {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("write the signing key {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        Ed25519KeyPair::generate().map(|pair| Self { pair }).map_err(|_| KeyError::Generate)
    }

    /// From PKCS#8, DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        // "Maybe unchecked": what `openssl genpkey` writes lacks the public half, and that is fine.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .map(|pair| Self { pair })
            .map_err(|_| KeyError::Malformed)
    }

    /// From a seed of 64 hexadecimal digits.
    pub fn from_hex(seed: &str) -> Result<Self, KeyError> {
        let seed = Zeroizing::new(parse_hex(seed.trim()).ok_or(KeyError::Malformed)?);
        Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map(|pair| Self { pair })
            .map_err(|_| KeyError::Malformed)
    }

    /// From either text form: PKCS#8 in PEM, or a seed of 64 hexadecimal digits.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let Some((_, rest)) = text.split_once("-----BEGIN PRIVATE KEY-----") else {
            return Self::from_hex(text);
        };
        let (body, _) = rest.split_once("-----END PRIVATE KEY-----").ok_or(KeyError::Malformed)?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| KeyError::Malformed)?);
        Self::from_pkcs8(&der)
    }

    /// Loads a key from a file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        Self::from_text(&text)
            .map_err(|error| KeyError::File { path: path.to_owned(), source: Box::new(error) })
    }

    /// Loads a key from a file, or makes one and keeps it there, readable for its owner only.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        if path.exists() {
            return Self::load(path);
        }
        let key = Self::generate()?;
        let seed = key.seed_hex()?;
        create(path, &seed).map_err(|source| KeyError::Write { path: path.to_owned(), source })?;
        Ok(key)
    }

    /// The public key as 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        hex(self.pair.public_key().as_ref())
    }

    /// SHA-256 of the public key.
    pub fn key_id(&self) -> Digest {
        Digest::of(self.pair.public_key().as_ref())
    }

    /// The seed as 64 hexadecimal digits: this is the secret.
    pub fn seed_hex(&self) -> Result<Zeroizing<String>, KeyError> {
        let seed = self.pair.seed().map_err(|_| KeyError::Generate)?;
        let bytes: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| KeyError::Generate)?;
        Ok(Zeroizing::new(hex(bytes.as_ref())))
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("public", &self.public_hex()).finish_non_exhaustive()
    }
}

fn create(path: &Path, seed: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{seed}")?;
    file.sync_all()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
