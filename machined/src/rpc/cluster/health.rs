//! The cluster as this node sees it, until all is well or the time is over.

use std::time::Duration;

use corten_api::v1::{HealthCheck, HealthRequest, HealthState};
use corten_resources::runtime::{MACHINE, MachineStatus, ServiceSpec, ServiceStatus};
use corten_store::Kind as _;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::node::Node;
use crate::rpc::Answers;

pub(super) fn health(
    node: &Node,
    request: Request<HealthRequest>,
) -> Result<Response<Answers<HealthCheck>>, Status> {
    let wait = Duration::from_millis(request.into_inner().wait_ms);
    let (sender, receiver) = mpsc::channel(16);
    let node = node.clone();
    tokio::spawn(async move { follow(&node, wait, sender).await });
    Ok(Response::new(Box::pin(ReceiverStream::new(receiver).map(Ok))))
}

/// Sends each check when it changes, until all pass or the time is over.
async fn follow(node: &Node, wait: Duration, sender: mpsc::Sender<HealthCheck>) {
    let deadline = tokio::time::Instant::now() + wait;
    let changed = node.store.changed(&[ServiceStatus::NAME, ServiceSpec::NAME, MachineStatus::NAME]);
    let mut sent: Vec<HealthCheck> = Vec::new();
    loop {
        let last = tokio::time::Instant::now() >= deadline;
        let checks = checks(node, last);
        for check in &checks {
            if !sent.contains(check) && sender.send(check.clone()).await.is_err() {
                return; // the client is gone
            }
        }
        if last || checks.iter().all(|check| check.state() == HealthState::Passed) {
            return;
        }
        sent = checks;
        // An elapsed deadline is what `last` is for.
        let _ = tokio::time::timeout_at(deadline, changed.wait()).await;
    }
}

/// Services in order of name, then what else the machine waits for.
fn checks(node: &Node, last: bool) -> Vec<HealthCheck> {
    let store = &node.store;
    let open = if last { HealthState::Failed } else { HealthState::Waiting };
    let machine = store.get::<MachineStatus>(MACHINE).map(|machine| machine.spec.clone()).unwrap_or_default();
    let unmet: Vec<HealthCheck> = machine
        .unmet
        .into_iter()
        .map(|unmet| HealthCheck {
            name: unmet.name,
            state: open.into(),
            message: unmet.reason,
            causes: unmet.causes,
        })
        .collect();
    let passed =
        |name: String| HealthCheck { name, state: HealthState::Passed.into(), ..HealthCheck::default() };
    let services = store.list::<ServiceSpec>();
    let mut checks: Vec<HealthCheck> = services
        .iter()
        .map(|service| format!("service {}", service.metadata.id))
        .chain(["node-ready".to_owned()])
        .filter(|name| unmet.iter().all(|check| check.name != *name))
        .filter(|name| name != "node-ready" || machine.ready)
        .map(passed)
        .collect();
    checks.extend(unmet);
    checks
}
