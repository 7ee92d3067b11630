//! Certificate authorities, leaves and secrets.
//!
//! Keeps true: a private key is wiped when dropped and never shown by `Debug`; no leaf outlives a year; every
//! certificate is valid from five minutes before it was made, so that a node whose clock is a little behind
//! accepts it. Knows nothing of files, nodes or who may ask for what.

mod authority;
mod bundle;
mod error;
mod inspect;
mod leaf;
mod public;
mod secret;

pub use authority::{CA_LIFETIME, Ca};
pub use bundle::{KeyPem, SecretsBundle, random_token};
pub use error::PkiError;
pub use inspect::{
    CertificateInfo, Validity, expires, fingerprint, fingerprint_der, inspect, inspect_der, renew_at,
    validity,
};
pub use leaf::{
    KeyType, LEAF_LIFETIME_MAX, Leaf, LeafRequest, MAINTENANCE_ORGANIZATION, Usage, maintenance_certificate,
};
pub use public::public_key_pem;
pub use secret::Secret;

/// How far before the moment of issue a certificate becomes valid: clocks differ.
pub const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(5 * 60);
