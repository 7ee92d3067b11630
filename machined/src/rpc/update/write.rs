//! Takes the payload of a bundle as a stream.

use corten_api::v1::{WriteUpdateRequest, WriteUpdateResponse};
use corten_api::{codes, error};
use corten_resources::runtime::MACHINE;
use tonic::{Request, Response, Status, Streaming};

use crate::node::Node;
use crate::rpc::audit;

pub(super) async fn write(
    node: &Node,
    request: Request<Streaming<WriteUpdateRequest>>,
) -> Result<Response<WriteUpdateResponse>, Status> {
    audit::record(node, &request, "send an update", MACHINE);
    let mut stream = request.into_inner();
    let mut last = None;
    while let Some(piece) = stream.message().await? {
        last = Some(node.updates.write(piece.upload, piece.offset, piece.chunk.into()).await?);
    }
    let nothing = || error::status(codes::REQUEST_INVALID, "the stream held no piece of a bundle", "");
    let (offset, complete) = last.ok_or_else(nothing)?;
    Ok(Response::new(WriteUpdateResponse { offset, complete }))
}
