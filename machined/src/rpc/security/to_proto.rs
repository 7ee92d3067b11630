//! Domain to wire.

use std::net::IpAddr;

use corten_api::v1::Certificate;
use corten_resources::secrets::CertificateStatus;

pub(super) fn certificate(name: &str, status: &CertificateStatus) -> Certificate {
    let organizations = status.organizations.iter().map(|name| format!("O={name}"));
    let subject = organizations.chain([format!("CN={}", status.common_name)]).collect::<Vec<_>>().join(", ");
    let (addresses, dns_names): (Vec<String>, Vec<String>) =
        status.subject_alt_names.iter().cloned().partition(|name| name.parse::<IpAddr>().is_ok());
    Certificate {
        name: name.to_owned(),
        subject,
        issuer: status.issuer.clone(),
        not_before_unix: seconds(&status.not_before),
        not_after_unix: seconds(&status.not_after),
        renew_at_unix: seconds(&status.renew_at),
        fingerprint: status.fingerprint.clone(),
        dns_names,
        addresses,
        is_ca: false,
    }
}

fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second)
}
