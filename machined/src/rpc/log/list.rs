//! The logs that there are.

use corten_api::v1::{ListLogsRequest, ListLogsResponse};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;
use crate::rpc::turn::Turn;

/// The sizes of files come from the disk, which may be slow, or hang.
static TURN: Turn = Turn::new("listing the logs");

pub(super) async fn list(
    node: &Node,
    _request: Request<ListLogsRequest>,
) -> Result<Response<ListLogsResponse>, Status> {
    let logs = node.logs.clone();
    let list = move || {
        logs.list().iter().map(|log| to_proto::log(log, logs.file_bytes(&log.id))).collect::<Vec<_>>()
    };
    let logs = TURN.take(list).await?;
    Ok(Response::new(ListLogsResponse { logs }))
}
