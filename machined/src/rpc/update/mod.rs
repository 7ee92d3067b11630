//! `UpdateService`.

use corten_api::v1::update_service_server::UpdateService;
use corten_api::v1::{
    AllowVersionRequest, AllowVersionResponse, BeginUpdateRequest, BeginUpdateResponse, Progress,
    RollbackRequest, RollbackResponse, UpdateStatusRequest, UpdateStatusResponse, UpgradeRequest,
    WriteUpdateRequest, WriteUpdateResponse,
};
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Api};

#[tonic::async_trait]
impl UpdateService for Api {
    async fn status(
        &self,
        _: Request<UpdateStatusRequest>,
    ) -> Result<Response<UpdateStatusResponse>, Status> {
        Err(Status::unimplemented("status"))
    }

    async fn begin(&self, _: Request<BeginUpdateRequest>) -> Result<Response<BeginUpdateResponse>, Status> {
        Err(Status::unimplemented("begin"))
    }

    async fn write(
        &self,
        _: Request<Streaming<WriteUpdateRequest>>,
    ) -> Result<Response<WriteUpdateResponse>, Status> {
        Err(Status::unimplemented("write"))
    }

    type UpgradeStream = Answers<Progress>;

    async fn upgrade(&self, _: Request<UpgradeRequest>) -> Result<Response<Self::UpgradeStream>, Status> {
        Err(Status::unimplemented("upgrade"))
    }

    async fn rollback(&self, _: Request<RollbackRequest>) -> Result<Response<RollbackResponse>, Status> {
        Err(Status::unimplemented("rollback"))
    }

    async fn allow(&self, _: Request<AllowVersionRequest>) -> Result<Response<AllowVersionResponse>, Status> {
        Err(Status::unimplemented("allow"))
    }
}
