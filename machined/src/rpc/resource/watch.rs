//! The present resources of a kind, a mark, then each change in order.

use corten_api::v1::{WatchResourcesRequest, WatchResourcesResponse};
use corten_api::{codes, error};
use corten_store::AnyWatch;
use futures::stream;
use tonic::{Request, Response, Status};

use super::{find, to_proto};
use crate::node::Node;
use crate::rpc::Answers;
use crate::rpc::auth::Caller;

pub(super) fn watch(
    node: &Node,
    request: Request<WatchResourcesRequest>,
) -> Result<Response<Answers<WatchResourcesResponse>>, Status> {
    let kind = find::find(&node.store, &request.get_ref().kind, &Caller::of(&request))?;
    let id = request.into_inner().id;
    let watch =
        node.store.watch_any(kind.name).map_err(|failure| error::to_status(codes::INTERNAL, &failure, ""))?;
    Ok(Response::new(Box::pin(stream::unfold(Some(Watching { watch, id }), step))))
}

struct Watching {
    watch: AnyWatch,
    /// Only this one; empty for all.
    id: String,
}

/// The next answer; nothing follows an error.
async fn step(
    watching: Option<Watching>,
) -> Option<(Result<WatchResourcesResponse, Status>, Option<Watching>)> {
    let mut watching = watching?;
    loop {
        match watching.watch.next().await {
            Ok(event) => {
                if let Some(answer) = to_proto::event(event, &watching.id) {
                    return Some((Ok(answer), Some(watching)));
                }
            }
            Err(lagged) => {
                let status = error::to_status(codes::WATCH_LAGGED, &lagged, "start the watch again");
                return Some((Err(status), None));
            }
        }
    }
}
