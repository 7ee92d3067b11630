//! What a client shows and trusts: its certificate and key, and the CA of the node it calls.

use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates and key, parsed.
#[derive(Debug)]
pub struct Identity {
    pub(crate) ca: Vec<CertificateDer<'static>>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// Validity of the client certificate.
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

/// PEM that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A part is no PEM of the right kind.
    #[error("the {part} is not PEM of the right kind")]
    Pem {
        /// "CA", "certificate" or "key".
        part: &'static str,
        /// What the parser says.
        source: rustls::pki_types::pem::Error,
    },
    /// A part holds nothing.
    #[error("the {part} is empty")]
    Empty {
        /// "CA" or "certificate".
        part: &'static str,
    },
    /// The PEM is fine, but not what is in it.
    #[error("the client certificate is not X.509")]
    Certificate,
}

impl Identity {
    /// Parse PEM.
    pub fn from_pem(ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let ca = certificates("CA", ca)?;
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|source| IdentityError::Pem { part: "key", source })?;
        let leaf = chain.first().ok_or(IdentityError::Empty { part: "certificate" })?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| IdentityError::Certificate)?;
        let validity = parsed.validity();
        let not_before = time(validity.not_before.timestamp());
        let not_after = time(validity.not_after.timestamp());
        Ok(Self { ca, not_before, not_after, key, chain })
    }
}

fn certificates(part: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|source| IdentityError::Pem { part, source })?;
    if certificates.is_empty() { Err(IdentityError::Empty { part }) } else { Ok(certificates) }
}

fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Organizations in the subject of a certificate.
pub(crate) fn organizations(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let subject = certificate.subject();
    subject.iter_organization().filter_map(|value| value.as_str().ok()).map(str::to_owned).collect()
}
