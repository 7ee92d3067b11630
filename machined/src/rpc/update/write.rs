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
    let nothing = || error::status(codes::REQUEST_INVALID, "the stream held no piece of a bundle", "");
    let first = stream.message().await?.ok_or_else(nothing)?;
    // When the stream breaks, it is dropped and another one may go on.
    let sender = node.updates.sender(&first.upload)?;
    let (mut next, mut last) = (Some(first), (0, false));
    while let Some(piece) = next {
        last = node.updates.write(&sender, piece.offset, piece.chunk.into()).await?;
        next = stream.message().await?;
    }
    let (offset, complete) = last;
    Ok(Response::new(WriteUpdateResponse { offset, complete }))
}
