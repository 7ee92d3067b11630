//! `ConfigService`.

mod apply;
mod generations;
mod get;
mod install;
mod to_proto;
mod validate;

use corten_api::v1::config_service_server::ConfigService;
use corten_api::v1::{
    ApplyConfigRequest, ApplyConfigResponse, GenerationsRequest, GenerationsResponse, GetConfigRequest,
    GetConfigResponse, ValidateConfigRequest, ValidateConfigResponse,
};
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl ConfigService for Api {
    async fn get(&self, request: Request<GetConfigRequest>) -> Result<Response<GetConfigResponse>, Status> {
        get::get(&self.0, request).await
    }

    async fn validate(
        &self,
        request: Request<ValidateConfigRequest>,
    ) -> Result<Response<ValidateConfigResponse>, Status> {
        validate::validate(request)
    }

    async fn apply(
        &self,
        request: Request<ApplyConfigRequest>,
    ) -> Result<Response<ApplyConfigResponse>, Status> {
        apply::apply(&self.0, request).await
    }

    async fn generations(
        &self,
        request: Request<GenerationsRequest>,
    ) -> Result<Response<GenerationsResponse>, Status> {
        generations::generations(&self.0, request).await
    }
}
