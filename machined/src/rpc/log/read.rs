//! Lines of one log.

use corten_api::v1::{ReadLogRequest, ReadLogResponse};
use corten_api::{codes, error};
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;
use crate::rpc::{Answers, count};

/// How many lines go into one message, when there are as many.
const CHUNK: usize = 64;

pub(super) fn read(
    node: &Node,
    request: Request<ReadLogRequest>,
) -> Result<Response<Answers<ReadLogResponse>>, Status> {
    let ReadLogRequest { id, tail, follow } = request.into_inner();
    let missing = || {
        let message = format!("there is no log {id:?}");
        error::status(codes::NOT_FOUND, message, "osctl logs without a name lists them")
    };
    if follow {
        let lines = node.logs.follow(&id, count(tail)).ok_or_else(missing)?;
        let lines = stream::unfold(lines, |mut lines| async { Some((lines.next().await?, lines)) });
        let answers = lines.ready_chunks(CHUNK).map(|lines| Ok(to_proto::lines(&lines)));
        return Ok(Response::new(Box::pin(answers)));
    }
    let lines = node.logs.tail(&id, count(tail)).ok_or_else(missing)?;
    let answers: Vec<_> = lines.chunks(CHUNK).map(|lines| Ok(to_proto::lines(lines))).collect();
    Ok(Response::new(Box::pin(stream::iter(answers))))
}
