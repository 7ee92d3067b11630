//! How the installation goes, until it is over.

use corten_api::v1::{Progress, WatchInstallRequest};
use corten_api::{codes, error};
use corten_resources::install::{InstallPhase, InstallStatus};
use corten_resources::runtime::MACHINE;
use corten_store::{Event, Watch};
use futures::stream;
use tonic::{Request, Response, Status};

use super::to_proto;
use crate::node::Node;
use crate::rpc::Answers;

pub(super) fn watch_install(
    node: &Node,
    _request: Request<WatchInstallRequest>,
) -> Result<Response<Answers<Progress>>, Status> {
    if node.started_from.medium.is_none() {
        let hint = "it runs from its disk already: osctl status";
        return Err(error::status(codes::NOT_FOUND, "the machine does not run from an install medium", hint));
    }
    let watch = node.store.watch::<InstallStatus>();
    Ok(Response::new(Box::pin(stream::unfold(Some(watch), step))))
}

/// The next message; nothing follows the last one.
async fn step(
    watch: Option<Watch<InstallStatus>>,
) -> Option<(Result<Progress, Status>, Option<Watch<InstallStatus>>)> {
    let mut watch = watch?;
    loop {
        let event = match watch.next().await {
            Ok(event) => event,
            // What was missed is in the past; the present follows.
            Err(_lagged) => continue,
        };
        let (Event::Present(resource) | Event::Created(resource) | Event::Updated(resource)) = event else {
            continue;
        };
        if resource.id() == MACHINE {
            let (answer, goes_on) = answer(&resource.spec);
            return Some((answer, goes_on.then_some(watch)));
        }
    }
}

/// What a status means to a caller, and whether more follows.
fn answer(status: &InstallStatus) -> (Result<Progress, Status>, bool) {
    match status.phase {
        InstallPhase::Waiting | InstallPhase::Running => (Ok(to_proto::progress(status)), true),
        InstallPhase::Finished => (Ok(Progress { finished: true, ..to_proto::progress(status) }), false),
        InstallPhase::Failed => (Err(failed(status)), false),
    }
}

fn failed(status: &InstallStatus) -> Status {
    let detail = error::ErrorDetail {
        code: codes::INSTALL_FAILED.into(),
        causes: vec![status.error.clone()],
        hint: status.hint.clone(),
        ..error::ErrorDetail::default()
    };
    error::with_detail(format!("the installation to {} failed", status.disk), detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_the_installation_does() {
        let status = |phase| InstallStatus { phase, disk: "/dev/vda".into(), done: 5, ..Default::default() };
        let (running, goes_on) = answer(&status(InstallPhase::Running));
        assert_eq!((running.unwrap().done_bytes, goes_on), (5, true));
        let (finished, goes_on) = answer(&status(InstallPhase::Finished));
        assert!(finished.unwrap().finished && !goes_on);
        let broken = InstallStatus { error: "write: no such device".into(), ..status(InstallPhase::Failed) };
        let (failed, goes_on) = answer(&broken);
        let detail = error::from_status(&failed.unwrap_err()).unwrap();
        assert_eq!((detail.causes[0].as_str(), goes_on), ("write: no such device", false));
    }
}
