//! `UpdateService`.

mod allow;
mod begin;
mod facts;
mod rollback;
mod status;
mod to_proto;
mod upgrade;
mod write;

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
        request: Request<UpdateStatusRequest>,
    ) -> Result<Response<UpdateStatusResponse>, Status> {
        status::status(&self.0, request).await
    }

    async fn begin(
        &self,
        request: Request<BeginUpdateRequest>,
    ) -> Result<Response<BeginUpdateResponse>, Status> {
        begin::begin(&self.0, request).await
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteUpdateRequest>>,
    ) -> Result<Response<WriteUpdateResponse>, Status> {
        write::write(&self.0, request).await
    }

    type UpgradeStream = Answers<Progress>;

    async fn upgrade(
        &self,
        request: Request<UpgradeRequest>,
    ) -> Result<Response<Self::UpgradeStream>, Status> {
        upgrade::upgrade(&self.0, request).await
    }

    async fn rollback(
        &self,
        request: Request<RollbackRequest>,
    ) -> Result<Response<RollbackResponse>, Status> {
        rollback::rollback(&self.0, request).await
    }

    async fn allow(
        &self,
        request: Request<AllowVersionRequest>,
    ) -> Result<Response<AllowVersionResponse>, Status> {
        allow::allow(&self.0, request).await
    }
}
