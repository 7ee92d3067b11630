//! Reads certificates: fingerprint, validity, when to renew.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use x509_parser::der_parser::Oid;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME};
use x509_parser::pem::{Pem, parse_x509_pem};

use crate::PkiError;

/// The time in which a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: SystemTime,
    /// Last moment.
    pub not_after: SystemTime,
}

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Common name of the subject, empty when it has none.
    pub common_name: String,
    /// Organizations of the subject.
    pub organizations: Vec<String>,
    /// DNS names and addresses that it serves, as text.
    pub subject_alt_names: Vec<String>,
    /// First moment, in seconds since 1970.
    pub not_before: i64,
    /// Last moment, in seconds since 1970.
    pub not_after: i64,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// SHA-256 of the DER, 64 lower-case hex digits.
    pub fingerprint: String,
}

/// Reads the (first) certificate in `cert_pem`.
pub fn inspect(cert_pem: &str) -> Result<CertificateInfo, PkiError> {
    let pem = pem(cert_pem)?;
    inspect_der(&pem.contents)
}

/// Reads a certificate in DER, as a TLS peer sends it.
pub fn inspect_der(der: &[u8]) -> Result<CertificateInfo, PkiError> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|error| PkiError::Certificate(error.to_string()))?;
    let texts = |oid: &Oid<'_>| {
        let attributes = certificate.subject().iter_by_oid(oid);
        attributes.filter_map(|value| value.as_str().ok()).map(str::to_owned).collect::<Vec<_>>()
    };
    let sans = certificate.subject_alternative_name().ok().flatten();
    Ok(CertificateInfo {
        common_name: texts(&OID_X509_COMMON_NAME).into_iter().next().unwrap_or_default(),
        organizations: texts(&OID_X509_ORGANIZATION_NAME),
        subject_alt_names: sans
            .map(|sans| sans.value.general_names.iter().filter_map(name).collect())
            .unwrap_or_default(),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        is_ca: certificate.is_ca(),
        fingerprint: fingerprint_der(der),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// SHA-256 of the certificate in DER, 64 lower-case hex digits.
pub fn fingerprint(cert_pem: &str) -> Result<String, PkiError> {
    Ok(fingerprint_der(&pem(cert_pem)?.contents))
}

/// SHA-256 of `der`, 64 lower-case hex digits.
pub fn fingerprint_der(der: &[u8]) -> String {
    Sha256::digest(der).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// From when until when the (first) certificate in `cert_pem` is valid.
pub fn validity(cert_pem: &str) -> Result<Validity, PkiError> {
    let info = inspect(cert_pem)?;
    Ok(Validity { not_before: moment(info.not_before)?, not_after: moment(info.not_after)? })
}

/// When the certificate ends.
pub fn expires(cert_pem: &str) -> Result<SystemTime, PkiError> {
    validity(cert_pem).map(|span| span.not_after)
}

/// When half of the certificate's life is over: time to renew it.
pub fn renew_at(cert_pem: &str) -> Result<SystemTime, PkiError> {
    let span = validity(cert_pem)?;
    let life = span.not_after.duration_since(span.not_before).unwrap_or(Duration::ZERO);
    Ok(span.not_before + life / 2)
}

fn pem(cert_pem: &str) -> Result<Pem, PkiError> {
    let (_, pem) =
        parse_x509_pem(cert_pem.as_bytes()).map_err(|error| PkiError::Certificate(error.to_string()))?;
    if pem.label == "CERTIFICATE" {
        Ok(pem)
    } else {
        Err(PkiError::Certificate(format!("a PEM block {:?}, not \"CERTIFICATE\"", pem.label)))
    }
}

fn moment(seconds: i64) -> Result<SystemTime, PkiError> {
    let seconds = u64::try_from(seconds).map_err(|_| PkiError::Time)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(PkiError::Time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ca, KeyType};

    #[test]
    fn a_fingerprint_is_the_sha256_of_the_der() {
        assert_eq!(
            fingerprint_der(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let ca = Ca::generate("ca", KeyType::P256).unwrap();
        assert_eq!(fingerprint(&ca.cert_pem).unwrap(), fingerprint_der(&pem(&ca.cert_pem).unwrap().contents));
    }

    #[test]
    fn a_key_is_not_taken_for_a_certificate() {
        let ca = Ca::generate("ca", KeyType::P256).unwrap();
        let error = fingerprint(ca.key_pem.expose()).unwrap_err().to_string();
        assert!(error.contains("PRIVATE KEY"), "{error}");
        assert!(validity("").is_err());
    }
}
