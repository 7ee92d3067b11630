//! `LogService`.

use corten_api::v1::log_service_server::LogService;
use corten_api::v1::{ListLogsRequest, ListLogsResponse, Log, LogLine, ReadLogRequest, ReadLogResponse};
use corten_api::{codes, error};
use corten_supervisor::logs::Line;
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::{Answers, Api, unix_ms};

#[tonic::async_trait]
impl LogService for Api {
    async fn list(&self, _request: Request<ListLogsRequest>) -> Result<Response<ListLogsResponse>, Status> {
        let logs = self.0.logs.list().into_iter();
        let logs = logs.map(|log| Log { id: log.id, memory_bytes: log.bytes as u64, file_bytes: 0 }).collect();
        Ok(Response::new(ListLogsResponse { logs }))
    }

    type ReadStream = Answers<ReadLogResponse>;

    async fn read(&self, request: Request<ReadLogRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        let count = count(request.tail);
        let missing = || {
            let message = format!("there is no log {:?}", request.id);
            error::status(codes::NOT_FOUND, message, "osctl logs without a name lists them")
        };
        if request.follow {
            let follow = self.0.logs.follow(&request.id, count).ok_or_else(missing)?;
            let answers = stream::unfold(follow, |mut follow| async { Some((to_proto([follow.next().await?]), follow)) });
            return Ok(Response::new(Box::pin(answers.map(Ok))));
        }
        let lines = self.0.logs.tail(&request.id, count).ok_or_else(missing)?;
        let chunks: Vec<ReadLogResponse> = lines.chunks(256).map(|chunk| to_proto(chunk.iter().cloned())).collect();
        Ok(Response::new(Box::pin(stream::iter(chunks).map(Ok))))
    }
}

fn to_proto(lines: impl IntoIterator<Item = Line>) -> ReadLogResponse {
    let line = |line: Line| LogLine { time_unix_ms: unix_ms(line.time), line: line.text.as_bytes().to_vec().into() };
    ReadLogResponse { lines: lines.into_iter().map(line).collect() }
}

/// How many to send first; negative means all.
pub(super) fn count(tail: i32) -> usize {
    usize::try_from(tail).unwrap_or(usize::MAX)
}
