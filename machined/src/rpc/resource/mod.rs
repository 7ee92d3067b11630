//! `ResourceService`: the store, read only. Sensitive kinds exist for administrators only.

mod find;
mod get;
mod kinds;
mod list;
mod to_proto;
mod watch;

use corten_api::v1::resource_service_server::ResourceService;
use corten_api::v1::{
    GetResourceRequest, GetResourceResponse, KindsRequest, KindsResponse, ListResourcesRequest,
    ListResourcesResponse, WatchResourcesRequest, WatchResourcesResponse,
};
use tonic::{Request, Response, Status};

use super::{Answers, Api};

#[tonic::async_trait]
impl ResourceService for Api {
    async fn kinds(&self, request: Request<KindsRequest>) -> Result<Response<KindsResponse>, Status> {
        kinds::kinds(&self.0, request)
    }

    async fn get(
        &self,
        request: Request<GetResourceRequest>,
    ) -> Result<Response<GetResourceResponse>, Status> {
        get::get(&self.0, request)
    }

    async fn list(
        &self,
        request: Request<ListResourcesRequest>,
    ) -> Result<Response<ListResourcesResponse>, Status> {
        list::list(&self.0, request)
    }

    type WatchStream = Answers<WatchResourcesResponse>;

    async fn watch(
        &self,
        request: Request<WatchResourcesRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        watch::watch(&self.0, request)
    }
}
