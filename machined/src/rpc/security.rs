//! `SecurityService`.

use corten_api::v1::security_service_server::SecurityService;
use corten_api::v1::{Certificate, CertificatesRequest, CertificatesResponse};
use corten_resources::secrets::CertificateStatus;
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl SecurityService for Api {
    async fn certificates(
        &self,
        _request: Request<CertificatesRequest>,
    ) -> Result<Response<CertificatesResponse>, Status> {
        let all = self.0.store.list::<CertificateStatus>();
        let certificates = all.iter().map(|resource| to_proto(&resource.metadata.id, &resource.spec)).collect();
        Ok(Response::new(CertificatesResponse { certificates }))
    }
}

fn to_proto(name: &str, status: &CertificateStatus) -> Certificate {
    let organizations = status.organizations.iter().map(|name| format!("O={name}"));
    let subject = organizations.chain([format!("CN={}", status.common_name)]).collect::<Vec<_>>().join(", ");
    let (addresses, dns_names): (Vec<String>, Vec<String>) =
        status.subject_alt_names.iter().cloned().partition(|name| name.parse::<std::net::IpAddr>().is_ok());
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
