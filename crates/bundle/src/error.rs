//! What is wrong with a bundle.

use std::io;

use crate::digest::Digest;
use crate::payload::Part;

/// Why a bundle is refused, or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It does not begin like a bundle.
    #[error("this is not an update bundle")]
    NotABundle,
    /// It was made for a version to come.
    #[error("the update bundle has format {found}, and this version knows formats up to {known}")]
    NewerFormat {
        /// Its format.
        found: u32,
        /// The newest that is understood.
        known: u32,
    },
    /// It ends before its header does, or before its payload does.
    #[error("the update bundle is cut off: {have} of {need} bytes are there")]
    Truncated {
        /// Bytes that are there.
        have: u64,
        /// Bytes that have to be there at least.
        need: u64,
    },
    /// The manifest is larger than any manifest.
    #[error("the manifest of the update bundle has {found} bytes, and {limit} are allowed")]
    ManifestTooLarge {
        /// Its size.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The manifest is not what a manifest is.
    #[error("read the manifest of the update bundle")]
    Manifest(#[source] serde_json::Error),
    /// The sizes in the manifest cannot be true.
    #[error("the manifest of the update bundle names impossible sizes")]
    Sizes,
    /// Nobody who is trusted signed it.
    #[error("the update bundle is signed by key {key_id}, which is none of the {trusted} keys trusted here")]
    UnknownKey {
        /// SHA-256 of the public key that it names.
        key_id: Digest,
        /// How many keys are trusted.
        trusted: usize,
    },
    /// It was changed after it was signed.
    #[error(
        "the signature of the update bundle by key {key_id} does not match: it was altered or is damaged"
    )]
    Signature {
        /// The key that it names.
        key_id: Digest,
    },
    /// It is for other machines.
    #[error("the update bundle is for {found}, and this machine is {expected}")]
    Architecture {
        /// What it is for.
        found: String,
        /// What this machine is.
        expected: String,
    },
    /// A part is not what the manifest says.
    #[error("the {part} has hash {found}, and the manifest says {expected}: it was altered or is damaged")]
    Hash {
        /// Which part.
        part: Part,
        /// What its bytes hash to.
        found: Digest,
        /// What the manifest says.
        expected: Digest,
    },
    /// There is more payload than the manifest says.
    #[error("the update bundle goes on after the {expected} bytes of its payload")]
    TooLong {
        /// Bytes that the payload has.
        expected: u64,
    },
    /// A part changed while the bundle was being written.
    #[error("the {0} changed while it was written into the update bundle")]
    Changed(Part),
    /// Reading or writing failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}
