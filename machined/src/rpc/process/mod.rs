//! `ProcessService`.

mod list;

use corten_api::v1::process_service_server::ProcessService;
use corten_api::v1::{ListProcessesRequest, ListProcessesResponse};
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl ProcessService for Api {
    async fn list(
        &self,
        request: Request<ListProcessesRequest>,
    ) -> Result<Response<ListProcessesResponse>, Status> {
        list::list(request).await
    }
}
