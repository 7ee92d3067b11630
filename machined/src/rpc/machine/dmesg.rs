//! What the kernel wrote, and what it writes.

use corten_api::v1::{DmesgRequest, KernelMessage};
use futures::StreamExt;
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;
use crate::rpc::{Answers, count};

pub(super) fn dmesg(
    node: &Node,
    request: Request<DmesgRequest>,
) -> Result<Response<Answers<KernelMessage>>, Status> {
    let request = request.into_inner();
    let messages = node.kernel_log.read(count(request.tail), request.follow);
    Ok(Response::new(Box::pin(messages.map(|message| Ok(to_proto::kernel_message(&message))))))
}
