//! What can go wrong with keys and certificates.

use std::time::Duration;

/// A failed operation on a key or a certificate. The text never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The key could not be made.
    #[error("generate a key")]
    Generate(#[source] rcgen::Error),
    /// The text is no private key that we can use.
    #[error("read a private key (PEM, PKCS#8)")]
    Key(#[source] rcgen::Error),
    /// The text is no certificate.
    #[error("read a certificate (PEM, X.509): {0}")]
    Certificate(String),
    /// The certificate is not that of an authority.
    #[error("the certificate is not that of a certificate authority")]
    NotAnAuthority,
    /// The key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// Signing failed.
    #[error("sign a certificate for {common_name}")]
    Sign {
        /// Who the certificate was for.
        common_name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// A name that cannot stand in a certificate.
    #[error("{0:?} is not a DNS name")]
    DnsName(String),
    /// A leaf must end within a year.
    #[error("a lifetime of {} days is longer than the {} days allowed", .0.as_secs() / 86_400, crate::LEAF_LIFETIME_MAX.as_secs() / 86_400)]
    Lifetime(Duration),
    /// The subject can hold one organization.
    #[error("a certificate holds one organization, not {0}")]
    Organizations(usize),
    /// A time that a certificate cannot hold.
    #[error("a time outside of what a certificate can hold")]
    Time,
    /// The operating system gave no random bytes.
    #[error("read random bytes: {0}")]
    Random(getrandom::Error),
}
