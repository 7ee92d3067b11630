//! From a complete transfer to the reboot, with progress.

use corten_api::v1::upgrade_request::Source;
use corten_api::v1::{Progress, UpgradeRequest};
use corten_api::{codes, error};
use corten_resources::runtime::MACHINE;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{facts, to_proto};
use crate::controllers::config;
use crate::controllers::config::acquire::Successor;
use crate::node::{Node, PowerAction, PowerRequest};
use crate::rpc::{Answers, audit};
use crate::update::drain;
use crate::update::source::{self, Origin};

/// Messages that may wait for a slow client.
const QUEUE: usize = 64;

/// Where the messages of an upgrade go. Nobody has to listen: the work goes on without its client.
type Sender = mpsc::Sender<Result<Progress, Status>>;

pub(super) async fn upgrade(
    node: &Node,
    request: Request<UpgradeRequest>,
) -> Result<Response<Answers<Progress>>, Status> {
    audit::record(node, &request, "upgrade", MACHINE);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (node, request) = (node.clone(), request.into_inner());
    tokio::spawn(async move {
        let last = match run(&node, request, &sender).await {
            Ok(message) => {
                Ok(Progress { step: "done".into(), message, finished: true, ..Progress::default() })
            }
            Err(status) => Err(status),
        };
        let _ = sender.send(last).await;
    });
    Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
}

async fn run(node: &Node, request: UpgradeRequest, sender: &Sender) -> Result<String, Status> {
    let upload = match &request.source {
        Some(Source::Upload(upload)) => upload.clone(),
        Some(Source::Url(url)) => fetch(node, &request, Origin::Url(url.clone()), sender).await?,
        Some(Source::Image(image)) => fetch(node, &request, Origin::Image(image.clone()), sender).await?,
        None => {
            let hint = "give the name of a transfer, a URL or an image";
            return Err(error::status(codes::REQUEST_INVALID, "the update has no source", hint));
        }
    };
    if request.dry_run {
        return Ok("nothing speaks against this update; nothing was written".to_owned());
    }
    let policy = config::active(&node.store).map(|config| config.update_policy()).unwrap_or_default();
    node.config.hand_over(node.updates.running(), Successor::Update).await;
    let report = sender.clone();
    let version = node
        .updates
        .stage(upload, u32::from(policy.tries), facts::baseline(node), move |step, done, total| {
            // A client that is slow misses some of these.
            let _ = report.try_send(Ok(to_proto::step(step, done, total)));
        })
        .await?;
    if request.no_reboot {
        return Ok(format!("{version} is booted next: osctl reboot"));
    }
    if !request.no_drain {
        let _ = sender.try_send(Ok(to_proto::step("drain", 0, 0)));
        if let Some(message) = drain::empty(&node.store, &format!("update to {version}")).await {
            tracing::warn!("{message}");
            let _ = sender.try_send(Ok(Progress { step: "drain".into(), message, ..Progress::default() }));
        }
    }
    node.power.ask(PowerRequest { action: PowerAction::Reboot, ..PowerRequest::default() });
    Ok(format!("rebooting into {version}"))
}

/// Reads a bundle from elsewhere into the other slot. Answers the name of the transfer.
async fn fetch(
    node: &Node,
    request: &UpgradeRequest,
    origin: Origin,
    sender: &Sender,
) -> Result<String, Status> {
    let report = sender.clone();
    let mut bundle = source::open(&origin, request.insecure).await?;
    let header = bundle.header().await?;
    let (facts, baseline) = (facts::facts(node), facts::baseline(node));
    let begun = node.updates.begin(header, facts, request.force, request.dry_run, baseline).await?;
    if !begun.problems.is_empty() {
        return Err(to_proto::refused(&begun.problems));
    }
    if request.dry_run {
        return Ok(begun.upload);
    }
    let turn = node.updates.sender(&begun.upload)?;
    bundle.skip(begun.offset).await?;
    let mut offset = begun.offset;
    while let Some(chunk) = bundle.chunk().await? {
        (offset, _) = node.updates.write(&turn, offset, chunk).await?;
        let _ = report.try_send(Ok(to_proto::step("fetch", offset, begun.total)));
    }
    Ok(begun.upload)
}
