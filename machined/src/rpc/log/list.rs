//! The logs that there are.

use corten_api::v1::{ListLogsRequest, ListLogsResponse};
use corten_api::{codes, error};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;

pub(super) async fn list(
    node: &Node,
    _request: Request<ListLogsRequest>,
) -> Result<Response<ListLogsResponse>, Status> {
    let logs = node.logs.clone();
    // The sizes of files come from the disk, which may be slow.
    let listed = tokio::task::spawn_blocking(move || {
        logs.list().into_iter().map(|log| to_proto::log(&log, logs.file_bytes(&log.id))).collect()
    });
    let logs = listed.await.map_err(|failure| error::to_status(codes::INTERNAL, &failure, ""))?;
    Ok(Response::new(ListLogsResponse { logs }))
}
