//! The certificates that the node holds, without keys.

use corten_api::v1::{CertificatesRequest, CertificatesResponse};
use corten_resources::secrets::CertificateStatus;
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;

pub(super) fn certificates(
    node: &Node,
    _request: Request<CertificatesRequest>,
) -> Result<Response<CertificatesResponse>, Status> {
    let all = node.store.list::<CertificateStatus>();
    let certificates = all.iter().map(|status| to_proto::certificate(status.id(), &status.spec)).collect();
    Ok(Response::new(CertificatesResponse { certificates }))
}
