//! `LogService`.

mod list;
mod read;
mod to_proto;

use corten_api::v1::log_service_server::LogService;
use corten_api::v1::{ListLogsRequest, ListLogsResponse, ReadLogRequest, ReadLogResponse};
use tonic::{Request, Response, Status};

use super::{Answers, Api};

#[tonic::async_trait]
impl LogService for Api {
    async fn list(&self, request: Request<ListLogsRequest>) -> Result<Response<ListLogsResponse>, Status> {
        list::list(&self.0, request).await
    }

    type ReadStream = Answers<ReadLogResponse>;

    async fn read(&self, request: Request<ReadLogRequest>) -> Result<Response<Self::ReadStream>, Status> {
        read::read(&self.0, request)
    }
}
