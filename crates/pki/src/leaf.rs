//! Leaf certificates: what is asked for, and the self-signed one of maintenance mode.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{CLOCK_SKEW, PkiError, Secret};

/// The longest life of a leaf: 365 days.
pub const LEAF_LIFETIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Organization in the subject of the certificate that a node in maintenance mode shows.
pub const MAINTENANCE_ORGANIZATION: &str = "corten-maintenance";

/// What a leaf may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// TLS server.
    Server,
    /// TLS client.
    Client,
    /// Both ends, as etcd peers are.
    Both,
}

/// Algorithm of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Ed25519: the OS API, where both ends are ours.
    Ed25519,
    /// ECDSA on P-256: wherever Go programs read it.
    P256,
}

/// A wish for a leaf certificate with a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRequest {
    /// Common name of the subject: who it is.
    pub common_name: String,
    /// Organization of the subject: the role. At most one.
    pub organizations: Vec<String>,
    /// DNS names that it serves.
    pub dns_names: Vec<String>,
    /// Addresses that it serves.
    pub ips: Vec<IpAddr>,
    /// Server, client or both.
    pub usage: Usage,
    /// How long it lasts, at most [`LEAF_LIFETIME_MAX`].
    pub lifetime: Duration,
    /// Algorithm of its key.
    pub key: KeyType,
}

/// A certificate with its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// The certificate, PEM.
    #[serde(rename = "certificate")]
    pub cert_pem: String,
    /// Its private key, PEM, PKCS#8.
    #[serde(rename = "key")]
    pub key_pem: Secret,
}

impl KeyType {
    pub(crate) fn generate(self) -> Result<KeyPair, PkiError> {
        let algorithm = match self {
            Self::Ed25519 => &PKCS_ED25519,
            Self::P256 => &PKCS_ECDSA_P256_SHA256,
        };
        KeyPair::generate_for(algorithm).map_err(PkiError::Generate)
    }
}

/// The self-signed certificate with which a node in maintenance mode listens. Clients pin its fingerprint.
pub fn maintenance_certificate(dns_names: &[String], ips: &[IpAddr]) -> Result<Leaf, PkiError> {
    let request = LeafRequest {
        common_name: "maintenance".to_owned(),
        organizations: vec![MAINTENANCE_ORGANIZATION.to_owned()],
        dns_names: dns_names.to_vec(),
        ips: ips.to_vec(),
        usage: Usage::Server,
        lifetime: LEAF_LIFETIME_MAX,
        key: KeyType::P256,
    };
    let key = request.key.generate()?;
    let certificate = params(&request, SystemTime::now())?
        .self_signed(&key)
        .map_err(|source| PkiError::Sign { common_name: request.common_name, source })?;
    Ok(Leaf { cert_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) })
}

/// What goes into the certificate, apart from the issuer.
pub(crate) fn params(request: &LeafRequest, now: SystemTime) -> Result<CertificateParams, PkiError> {
    if request.lifetime > LEAF_LIFETIME_MAX {
        return Err(PkiError::Lifetime(request.lifetime));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(&request.common_name, &request.organizations)?;
    params.subject_alt_names = names(request)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match request.usage {
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = span(now, request.lifetime)?;
    Ok(params)
}

/// Subject with a common name and at most one organization.
pub(crate) fn subject(common_name: &str, organizations: &[String]) -> Result<DistinguishedName, PkiError> {
    let mut subject = DistinguishedName::new();
    match organizations {
        [] => {}
        [organization] => subject.push(DnType::OrganizationName, organization),
        more => return Err(PkiError::Organizations(more.len())),
    }
    subject.push(DnType::CommonName, common_name);
    Ok(subject)
}

/// From a little before `now` until `lifetime` after it.
pub(crate) fn span(
    now: SystemTime,
    lifetime: Duration,
) -> Result<(OffsetDateTime, OffsetDateTime), PkiError> {
    let start = now.checked_sub(CLOCK_SKEW).ok_or(PkiError::Time)?;
    let end = now.checked_add(lifetime).ok_or(PkiError::Time)?;
    Ok((OffsetDateTime::from(start), OffsetDateTime::from(end)))
}

fn names(request: &LeafRequest) -> Result<Vec<SanType>, PkiError> {
    let dns = request.dns_names.iter().map(|name| {
        let text = name.as_str().try_into().map_err(|_| PkiError::DnsName(name.clone()))?;
        Ok(SanType::DnsName(text))
    });
    let ips = request.ips.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
    dns.chain(ips).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint;

    #[test]
    fn a_maintenance_certificate_names_its_purpose() {
        let leaf = maintenance_certificate(&[], &["192.0.2.1".parse().unwrap()]).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(leaf.cert_pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        assert!(certificate.subject().to_string().contains("O=corten-maintenance"));
        assert!(certificate.verify_signature(None).is_ok());
        assert_eq!(fingerprint(&leaf.cert_pem).unwrap().len(), 64);
    }

    #[test]
    fn a_leaf_of_more_than_a_year_is_refused() {
        let request = LeafRequest {
            common_name: "x".into(),
            organizations: vec![],
            dns_names: vec![],
            ips: vec![],
            usage: Usage::Client,
            lifetime: LEAF_LIFETIME_MAX + Duration::from_secs(1),
            key: KeyType::P256,
        };
        assert!(matches!(params(&request, SystemTime::now()), Err(PkiError::Lifetime(_))));
    }

    #[test]
    fn two_organizations_are_refused_rather_than_one_dropped() {
        assert!(matches!(subject("x", &["a".into(), "b".into()]), Err(PkiError::Organizations(2))));
    }
}
