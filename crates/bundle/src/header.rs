//! The signed front of a bundle.

use std::io::Read;

use crate::digest::Digest;
use crate::error::BundleError;
use crate::key::SigningKey;
use crate::manifest::Manifest;
use crate::trust::TrustedKeys;

const MAGIC: [u8; 8] = *b"CORTENUB";

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

/// Largest manifest in bytes.
pub const MANIFEST_LEN_MAX: usize = 64 << 10;

const FRONT_LEN: usize = 16;
const KEY_ID_LEN: usize = 32;
const SIGNATURE_LEN: usize = 64;

/// Largest header in bytes: who has this many never needs more.
pub const HEADER_LEN_MAX: usize = FRONT_LEN + MANIFEST_LEN_MAX + KEY_ID_LEN + SIGNATURE_LEN;

/// A whole header, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    bytes: Vec<u8>,
    manifest_len: usize,
    key_id: Digest,
    signature: [u8; SIGNATURE_LEN],
}

/// What the first bytes of a bundle are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The header; the payload begins at [`Header::len`].
    Whole(Header),
    /// So many bytes from the start of the bundle are needed to go on.
    NeedBytes(usize),
}

impl Header {
    /// Takes a header apart; bytes behind it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, BundleError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) {
            return Err(BundleError::NotABundle);
        }
        let Some((front, rest)) = bytes.split_first_chunk::<FRONT_LEN>() else {
            return Ok(Parsed::NeedBytes(FRONT_LEN));
        };
        let [_, _, _, _, _, _, _, _, f0, f1, f2, f3, m0, m1, m2, m3] = *front;
        let format = u32::from_le_bytes([f0, f1, f2, f3]);
        if format > FORMAT {
            return Err(BundleError::NewerFormat { found: format, known: FORMAT });
        }
        if format == 0 {
            return Err(BundleError::NotABundle);
        }
        let manifest_len = u32::from_le_bytes([m0, m1, m2, m3]);
        let manifest_len = usize::try_from(manifest_len).unwrap_or(usize::MAX);
        if manifest_len > MANIFEST_LEN_MAX {
            return Err(BundleError::ManifestTooLarge {
                found: manifest_len as u64,
                limit: MANIFEST_LEN_MAX as u64,
            });
        }
        let total = FRONT_LEN + manifest_len + KEY_ID_LEN + SIGNATURE_LEN;
        let need = Ok(Parsed::NeedBytes(total));
        let Some((_, tail)) = rest.split_at_checked(manifest_len) else { return need };
        let Some((key_id, tail)) = tail.split_first_chunk::<KEY_ID_LEN>() else { return need };
        let Some(signature) = tail.first_chunk::<SIGNATURE_LEN>() else { return need };
        let Some(bytes) = bytes.get(..total) else { return need };
        Ok(Parsed::Whole(Self {
            bytes: bytes.to_vec(),
            manifest_len,
            key_id: Digest::from(*key_id),
            signature: *signature,
        }))
    }

    /// Reads a header and nothing behind it.
    pub fn read(mut input: impl Read) -> Result<Self, BundleError> {
        let mut bytes = Vec::new();
        loop {
            let need = match Self::parse(&bytes)? {
                Parsed::Whole(header) => return Ok(header),
                Parsed::NeedBytes(need) => need as u64,
            };
            let missing = need - bytes.len() as u64;
            let got = input
                .by_ref()
                .take(missing)
                .read_to_end(&mut bytes)
                .map_err(|source| BundleError::Io { what: "read the header of the update bundle", source })?;
            // What is not a bundle at all is told as that, however short it is.
            if (got as u64) < missing && !matches!(Self::parse(&bytes)?, Parsed::Whole(_)) {
                return Err(BundleError::Truncated { have: bytes.len() as u64, need });
            }
        }
    }

    /// Checks the signature, and only then reads the manifest.
    pub fn verify(&self, trusted: &TrustedKeys) -> Result<Manifest, BundleError> {
        let signed = self.bytes.get(..self.bytes.len() - SIGNATURE_LEN).unwrap_or_default();
        trusted.verify(self.key_id, signed, &self.signature)?;
        self.unverified_manifest()
    }

    /// What the header says, although nobody vouches for it: good for showing, not for acting.
    pub fn unverified_manifest(&self) -> Result<Manifest, BundleError> {
        let manifest = self.bytes.get(FRONT_LEN..FRONT_LEN + self.manifest_len).unwrap_or_default();
        Manifest::parse(manifest)
    }

    /// The key that it names: SHA-256 of the public key.
    pub fn key_id(&self) -> Digest {
        self.key_id
    }

    /// The header as it is in the file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the header: where the payload begins.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The header for this manifest.
pub fn sign(manifest: &Manifest, key: &SigningKey) -> Result<Vec<u8>, BundleError> {
    let json = serde_json::to_vec(manifest).map_err(BundleError::Manifest)?;
    Manifest::parse(&json)?;
    seal(&json, key)
}

/// Signs the bytes of a manifest.
pub(crate) fn seal(json: &[u8], key: &SigningKey) -> Result<Vec<u8>, BundleError> {
    let too_large =
        BundleError::ManifestTooLarge { found: json.len() as u64, limit: MANIFEST_LEN_MAX as u64 };
    let Some(len) = u32::try_from(json.len()).ok().filter(|_| json.len() <= MANIFEST_LEN_MAX) else {
        return Err(too_large);
    };
    let mut bytes = Vec::with_capacity(FRONT_LEN + json.len() + KEY_ID_LEN + SIGNATURE_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(json);
    bytes.extend_from_slice(key.key_id().as_bytes());
    let signature = key.sign(&bytes);
    bytes.extend_from_slice(&signature);
    Ok(bytes)
}
