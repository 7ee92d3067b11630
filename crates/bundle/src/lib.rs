//! Update bundles: one signed file with everything that an update needs.
//!
//! | bytes | |
//! |---|---|
//! | 8 | magic `CORTENUB` |
//! | 4 | format, little-endian |
//! | 4 | length of the manifest, little-endian |
//! | … | [`Manifest`], JSON |
//! | 32 | key id: SHA-256 of the public key |
//! | 64 | Ed25519 signature of all bytes before it |
//! | … | payload: the root image, then the UKI |
//!
//! Keeps true: nothing of a header is believed before its signature was checked with a trusted key, and the signed
//! manifest holds the hash of each part. Does not know where a bundle comes from, where its parts go, or whether this
//! node should take it.

mod digest;
mod error;
mod header;
mod key;
mod manifest;
mod payload;
#[cfg(test)]
mod tests;
mod trust;
mod write;

pub use digest::{Digest, DigestError};
pub use error::BundleError;
pub use header::{FORMAT, HEADER_LEN_MAX, Header, MANIFEST_LEN_MAX, Parsed, sign};
pub use key::{KeyError, SigningKey};
pub use manifest::{ConfigFormats, Manifest, PartInfo};
pub use payload::{Check, Part, Payload, Piece};
pub use trust::{TrustError, TrustedKeys};
pub use write::{Draft, write};
