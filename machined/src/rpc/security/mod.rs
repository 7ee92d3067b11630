//! `SecurityService`.

mod certificates;
mod to_proto;

use corten_api::v1::security_service_server::SecurityService;
use corten_api::v1::{CertificatesRequest, CertificatesResponse};
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl SecurityService for Api {
    async fn certificates(
        &self,
        request: Request<CertificatesRequest>,
    ) -> Result<Response<CertificatesResponse>, Status> {
        certificates::certificates(&self.0, request)
    }
}
