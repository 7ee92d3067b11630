//! A certificate authority: makes itself, issues leaves, checks that its two halves belong together.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use serde::{Deserialize, Serialize};
use x509_parser::pem::parse_x509_pem;

use crate::leaf::{params, span, subject};
use crate::{KeyType, Leaf, LeafRequest, PkiError, Secret};

/// How long an authority lasts: ten years.
pub const CA_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);

/// A certificate authority with its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ca {
    /// The certificate, PEM.
    #[serde(rename = "certificate")]
    pub cert_pem: String,
    /// Its private key, PEM, PKCS#8.
    #[serde(rename = "key")]
    pub key_pem: Secret,
}

impl Ca {
    /// A new self-signed authority that may sign leaves, not further authorities.
    pub fn generate(common_name: &str, key: KeyType) -> Result<Self, PkiError> {
        let key = key.generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common_name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        (params.not_before, params.not_after) = span(SystemTime::now(), CA_LIFETIME)?;
        let certificate = params
            .self_signed(&key)
            .map_err(|source| PkiError::Sign { common_name: common_name.to_owned(), source })?;
        Ok(Self { cert_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) })
    }

    /// Issues a leaf with a new key, valid from now.
    pub fn issue(&self, request: &LeafRequest) -> Result<Leaf, PkiError> {
        self.issue_at(request, SystemTime::now())
    }

    /// Issues a leaf as if it were `now`; tests make expired certificates this way.
    pub fn issue_at(&self, request: &LeafRequest, now: SystemTime) -> Result<Leaf, PkiError> {
        let key = request.key.generate()?;
        let certificate = params(request, now)?
            .signed_by(&key, &self.issuer()?)
            .map_err(|source| PkiError::Sign { common_name: request.common_name.clone(), source })?;
        Ok(Leaf { cert_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) })
    }

    /// Checks that the certificate is an authority's and that the key is its key.
    pub fn check(&self) -> Result<(), PkiError> {
        let (_, pem) = parse_x509_pem(self.cert_pem.as_bytes()).map_err(unreadable)?;
        let certificate = pem.parse_x509().map_err(unreadable)?;
        if !certificate.is_ca() {
            return Err(PkiError::NotAnAuthority);
        }
        let key = self.key()?;
        if certificate.public_key().raw == key.subject_public_key_info() {
            Ok(())
        } else {
            Err(PkiError::Mismatch)
        }
    }

    fn key(&self) -> Result<KeyPair, PkiError> {
        // Exposed to the signer alone.
        KeyPair::from_pem(self.key_pem.expose()).map_err(PkiError::Key)
    }

    fn issuer(&self) -> Result<Issuer<'_, KeyPair>, PkiError> {
        Issuer::from_ca_cert_pem(&self.cert_pem, self.key()?)
            .map_err(|error| PkiError::Certificate(error.to_string()))
    }
}

fn unreadable(error: impl std::fmt::Display) -> PkiError {
    PkiError::Certificate(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{Usage, expires, renew_at, validity};

    fn request() -> LeafRequest {
        LeafRequest {
            common_name: "node-1".into(),
            organizations: vec!["os:admin".into()],
            dns_names: vec!["node-1.example".into()],
            ips: vec!["2001:db8::1".parse::<IpAddr>().unwrap()],
            usage: Usage::Both,
            lifetime: Duration::from_secs(24 * 3600),
            key: KeyType::Ed25519,
        }
    }

    #[test]
    fn a_leaf_verifies_against_its_authority_and_no_other() {
        for key in [KeyType::Ed25519, KeyType::P256] {
            let ca = Ca::generate("ours", key).unwrap();
            let other = Ca::generate("theirs", key).unwrap();
            let leaf = ca.issue(&request()).unwrap();
            let (_, leaf) = parse_x509_pem(leaf.cert_pem.as_bytes()).unwrap();
            let leaf = leaf.parse_x509().unwrap();
            let verifies = |ca: &Ca| {
                let (_, pem) = parse_x509_pem(ca.cert_pem.as_bytes()).unwrap();
                leaf.verify_signature(Some(pem.parse_x509().unwrap().public_key())).is_ok()
            };
            assert!(verifies(&ca) && !verifies(&other), "{key:?}");
        }
    }

    #[test]
    fn a_leaf_carries_what_was_asked_for() {
        let ca = Ca::generate("ca", KeyType::P256).unwrap();
        let leaf = ca.issue(&request()).unwrap();
        let (_, pem) = parse_x509_pem(leaf.cert_pem.as_bytes()).unwrap();
        let leaf = pem.parse_x509().unwrap();
        assert_eq!(leaf.subject().to_string(), "O=os:admin, CN=node-1");
        let info = crate::inspect_der(&pem.contents).unwrap();
        assert_eq!((info.common_name.as_str(), info.organizations), ("node-1", vec!["os:admin".to_owned()]));
        assert_eq!(info.subject_alt_names, ["node-1.example", "2001:db8::1"]);
        assert!(!leaf.is_ca());
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth);
        assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
    }

    #[test]
    fn a_leaf_is_valid_before_now_and_renewed_at_half_life() {
        let ca = Ca::generate("ca", KeyType::P256).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        let leaf = ca.issue_at(&request(), now).unwrap();
        let day = Duration::from_secs(24 * 3600);
        let span = validity(&leaf.cert_pem).unwrap();
        assert_eq!(span.not_before, now - crate::CLOCK_SKEW);
        assert_eq!(expires(&leaf.cert_pem).unwrap(), now + day);
        let renew = renew_at(&leaf.cert_pem).unwrap();
        assert!(renew > now && renew < now + day / 2 + Duration::from_secs(1));
    }

    #[test]
    fn check_finds_swapped_halves() {
        let one = Ca::generate("ca", KeyType::P256).unwrap();
        let two = Ca::generate("ca", KeyType::P256).unwrap();
        assert!(one.check().is_ok());
        let mixed = Ca { cert_pem: one.cert_pem.clone(), key_pem: two.key_pem };
        assert!(matches!(mixed.check(), Err(PkiError::Mismatch)));
        let leaf = one.issue(&request()).unwrap();
        let leaf = Ca { cert_pem: leaf.cert_pem, key_pem: leaf.key_pem };
        assert!(matches!(leaf.check(), Err(PkiError::NotAnAuthority)));
        let garbage = Ca { cert_pem: "nonsense".into(), key_pem: one.key_pem };
        assert!(matches!(garbage.check(), Err(PkiError::Certificate(_))));
    }

    #[test]
    fn debug_hides_the_key() {
        let text = format!("{:?}", Ca::generate("ca", KeyType::P256).unwrap());
        assert!(text.contains("<secret>") && !text.contains("PRIVATE KEY"));
    }
}
