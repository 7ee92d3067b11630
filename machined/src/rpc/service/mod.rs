//! `ServiceService`.

mod control;
mod list;
mod restart;
mod start;
mod stop;
mod to_proto;

use corten_api::v1::service_service_server::ServiceService;
use corten_api::v1::{
    ListServicesRequest, ListServicesResponse, RestartServiceRequest, RestartServiceResponse,
    StartServiceRequest, StartServiceResponse, StopServiceRequest, StopServiceResponse,
};
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl ServiceService for Api {
    async fn list(
        &self,
        request: Request<ListServicesRequest>,
    ) -> Result<Response<ListServicesResponse>, Status> {
        list::list(&self.0, request)
    }

    async fn start(
        &self,
        request: Request<StartServiceRequest>,
    ) -> Result<Response<StartServiceResponse>, Status> {
        start::start(&self.0, request).await
    }

    async fn stop(
        &self,
        request: Request<StopServiceRequest>,
    ) -> Result<Response<StopServiceResponse>, Status> {
        stop::stop(&self.0, request).await
    }

    async fn restart(
        &self,
        request: Request<RestartServiceRequest>,
    ) -> Result<Response<RestartServiceResponse>, Status> {
        restart::restart(&self.0, request).await
    }
}
