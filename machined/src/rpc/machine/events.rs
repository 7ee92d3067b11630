//! What happened on the node, and what happens.

use corten_api::v1::{Event, EventsRequest};
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;
use crate::rpc::{Answers, count};

pub(super) fn events(
    node: &Node,
    request: Request<EventsRequest>,
) -> Result<Response<Answers<Event>>, Status> {
    let request = request.into_inner();
    if !request.follow {
        let events = node.events.tail(count(request.tail));
        return Ok(Response::new(Box::pin(stream::iter(events).map(|event| Ok(to_proto::event(&event))))));
    }
    let follow = node.events.follow(count(request.tail));
    let answers = stream::unfold(follow, |mut follow| async {
        let event = follow.next().await?;
        Some((Ok(to_proto::event(&event)), follow))
    });
    Ok(Response::new(Box::pin(answers)))
}
