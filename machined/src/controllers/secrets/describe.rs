//! What a certificate says about itself, for `CertificateStatus`.

use std::net::IpAddr;
use std::ops::Range;

use corten_controller::BoxError;
use corten_resources::secrets::CertificateStatus;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The status of a certificate, and how long it is good: from its beginning until it is to be renewed. A clock that was put
/// right may stand before the beginning.
///
/// # Errors
/// When it does not parse.
pub(super) fn describe(pem: &str) -> Result<(CertificateStatus, Range<jiff::Timestamp>), BoxError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())?;
    let (_, certificate) = X509Certificate::from_der(&block.contents)?;
    let validity = certificate.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let [begin, renew_at, end] = [from, from + (to - from) / 2, to].map(jiff::Timestamp::from_second);
    let good = begin?..renew_at?;
    let subject = certificate.subject();
    let text =
        |names: Vec<Result<&str, _>>| names.into_iter().filter_map(Result::ok).map(str::to_owned).collect();
    let organizations: Vec<String> = text(subject.iter_organization().map(|name| name.as_str()).collect());
    let common_names: Vec<String> = text(subject.iter_common_name().map(|name| name.as_str()).collect());
    let names = certificate.subject_alternative_name()?.map(|extension| &extension.value.general_names);
    let status = CertificateStatus {
        common_name: common_names.join(","),
        organizations,
        subject_alt_names: names.into_iter().flatten().filter_map(alt_name).collect(),
        not_before: good.start.to_string(),
        not_after: end?.to_string(),
        renew_at: good.end.to_string(),
        issuer: certificate.issuer().to_string(),
        fingerprint: corten_pki::fingerprint(pem)?,
    };
    Ok((status, good))
}

fn alt_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(IpAddr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|v6| IpAddr::from(v6).to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use corten_pki::{Ca, KeyType, LeafRequest, Usage};

    use super::*;

    #[test]
    fn a_leaf_is_renewed_at_half_of_its_life() {
        let ca = Ca::generate("test", KeyType::P256).unwrap();
        let request = LeafRequest {
            common_name: "n1".into(),
            organizations: vec!["o".into()],
            dns_names: vec!["n1.example".into()],
            ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            usage: Usage::Server,
            lifetime: Duration::from_secs(24 * 3600),
            key: KeyType::P256,
        };
        let (status, good) = describe(&ca.issue(&request).unwrap().cert_pem).unwrap();
        assert_eq!(status.common_name, "n1");
        assert_eq!(status.subject_alt_names, ["n1.example", "10.0.0.1", "fd00::1"]);
        let hours = (good.end.as_second() - jiff::Timestamp::now().as_second()) / 3600;
        assert!((11..=12).contains(&hours), "{hours}");
    }
}
