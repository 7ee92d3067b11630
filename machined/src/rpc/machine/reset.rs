//! Erases what was asked for, on the way down. The stream says what happens first, and ends when the machine goes down.

use std::sync::Arc;
use std::time::Duration;

use corten_api::v1::{self, Progress, ResetRequest};
use corten_api::{codes, error};
use corten_resources::block::DiskStatus;
use corten_resources::k8s::KubernetesConfig;
use corten_resources::runtime::MACHINE;
use corten_store::Resource;
use futures::{StreamExt as _, stream};
use tokio::time::timeout;
use tonic::{Request, Response, Status};
use tracing::warn;

use crate::node::{Node, PowerAction, PowerRequest, WipeMethod, WipePlan};
use crate::rpc::{Answers, audit};
use crate::update::drain;

/// For one file to go.
const FORGET: Duration = Duration::from_secs(10);

pub(super) fn reset(
    node: &Node,
    request: Request<ResetRequest>,
) -> Result<Response<Answers<Progress>>, Status> {
    audit::record(node, &request, "reset", MACHINE);
    refuse_when_busy(node)?;
    let request = request.into_inner();
    let disks = node.store.list::<DiskStatus>();
    let wipe = plan(&request, node.started_from.medium.is_some(), &disks)?;
    let action = if request.power_off { PowerAction::PowerOff } else { PowerAction::Reboot };
    let first = erases(&wipe);
    let left = leave(node.clone(), PowerRequest { action, force: request.force, wipe: Some(wipe.clone()) });
    let last = stream::once(left).map(move |left| match left {
        Ok(left) => left.into_iter().chain([goes_down(&wipe, action)]).map(Ok).collect(),
        Err(status) => vec![Err(status)],
    });
    Ok(Response::new(Box::pin(stream::iter([Ok(first)]).chain(last.flat_map(stream::iter)))))
}

/// Moves the pods away as well as it goes, and asks for the way down; tells what did not go. A task of its own, which runs
/// even when nobody listens.
fn leave(node: Node, request: PowerRequest) -> impl Future<Output = Result<Option<Progress>, Status>> {
    let leaving = tokio::spawn(async move {
        let in_cluster = node.store.get::<KubernetesConfig>("local").is_some();
        let message = match in_cluster && !request.force {
            true => drain::empty(&node.store, "reset").await,
            false => None,
        };
        let forget = request.wipe.as_ref().is_some_and(|wipe| wipe.ephemeral);
        if !node.power.ask(request) {
            let message = "the machine is going down for another reason, and nothing is erased";
            return Err(error::status(codes::MACHINE_STOPPING, message, "reset it again when it is back"));
        }
        // Services are stopped first, so STATE is there for long enough.
        if forget {
            forget_etcd(&node).await;
        }
        Ok(message)
    });
    async {
        let message = leaving.await.unwrap_or_else(|panic| Ok(Some(panic.to_string())))?;
        Ok(message.map(|message| Progress { step: "drain".into(), message, ..Progress::default() }))
    }
}

/// Without its data etcd would wait for ever for what is gone: a node that keeps its config may be bootstrapped anew.
/// A disk that hangs does not keep the machine from being reset.
async fn forget_etcd(node: &Node) {
    let forgotten = timeout(FORGET, node.member.forget()).await;
    if let Err(error) = forgotten.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        warn!(error = &error as &dyn std::error::Error, "it stays on STATE that this node was bootstrapped");
    }
}

/// What must not be cut off by a wipe.
fn refuse_when_busy(node: &Node) -> Result<(), Status> {
    if node.power.current().is_some() {
        let hint = "wait until the machine is back, and ask again";
        return Err(error::status(codes::MACHINE_STOPPING, "the machine is going down already", hint));
    }
    if let Some(version) = node.updates.being_written() {
        let message = format!("an update to {version} is being written");
        return Err(error::status(codes::UPDATE_RUNNING, message, "wait for it: osctl update status"));
    }
    if node.installs.is_running() {
        let hint = "wait for it: osctl status, or the console";
        return Err(error::status(codes::INSTALL_RUNNING, "an installation is running", hint));
    }
    Ok(())
}

/// Checks the request, and finds the disk.
fn plan(
    request: &ResetRequest,
    on_medium: bool,
    disks: &[Arc<Resource<DiskStatus>>],
) -> Result<WipePlan, Status> {
    if !(request.state || request.ephemeral || request.disk) {
        let hint = "osctl reset with --state, --ephemeral or --disk";
        return Err(error::status(codes::REQUEST_INVALID, "nothing is named that should be erased", hint));
    }
    if on_medium && !request.disk {
        let hint =
            "osctl reset --disk erases the installed system; without a medium, it can erase its own volumes";
        let message = "the system runs from an install medium and has neither STATE nor EPHEMERAL";
        return Err(error::status(codes::RESET_REFUSED, message, hint));
    }
    let candidate = |disk: &&Arc<Resource<DiskStatus>>| {
        if on_medium { !disk.spec.system && disk.spec.is_ours() } else { disk.spec.system }
    };
    let mut candidates = disks.iter().filter(candidate);
    let (Some(disk), None) = (candidates.next(), candidates.next()) else {
        return Err(no_disk(on_medium, disks));
    };
    Ok(WipePlan {
        state: request.state,
        ephemeral: request.ephemeral,
        disk: request.disk,
        method: method(request.method()),
        device: disk.id().to_owned(),
    })
}

/// Not exactly one disk is ours: the causes say what each is.
fn no_disk(on_medium: bool, disks: &[Arc<Resource<DiskStatus>>]) -> Status {
    let cause = |disk: &Arc<Resource<DiskStatus>>| format!("{}: {}", disk.spec.path, disk.spec.content);
    let detail = error::ErrorDetail {
        code: codes::RESET_REFUSED.into(),
        causes: disks.iter().map(cause).collect(),
        hint: "osctl get disks".into(),
        ..error::ErrorDetail::default()
    };
    let message = if on_medium {
        "not exactly one disk holds an installed system"
    } else {
        "the system disk was not found"
    };
    error::with_detail(message, detail)
}

fn method(method: v1::WipeMethod) -> WipeMethod {
    match method {
        v1::WipeMethod::Default => WipeMethod::Default,
        v1::WipeMethod::Discard => WipeMethod::Discard,
        v1::WipeMethod::Overwrite => WipeMethod::Overwrite,
        v1::WipeMethod::Headers => WipeMethod::Headers,
    }
}

fn erases(wipe: &WipePlan) -> Progress {
    let volumes = [(wipe.state, "STATE"), (wipe.ephemeral, "EPHEMERAL")];
    let volumes: Vec<_> = volumes.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name).collect();
    let what = if wipe.disk { "all of it".to_owned() } else { volumes.join(" and ") };
    let message = format!("going to erase {what} on {}; the console shows how it goes", wipe.device);
    Progress { step: "plan".into(), message, ..Progress::default() }
}

/// What to expect after it.
fn goes_down(wipe: &WipePlan, action: PowerAction) -> Progress {
    let after = match action {
        PowerAction::PowerOff => "the machine stays off",
        PowerAction::Reboot if wipe.disk => "nothing boots from this disk any more: an install medium does",
        PowerAction::Reboot if wipe.state => "the machine comes back in maintenance and waits for a config",
        PowerAction::Reboot => "the machine comes back with its config",
    };
    Progress {
        step: "going-down".into(),
        message: format!("going down; {after}"),
        finished: true,
        ..Progress::default()
    }
}

#[cfg(test)]
mod tests {
    use corten_store::Store;

    use super::*;

    fn disks(all: &[(&str, &str, bool)]) -> Vec<Arc<Resource<DiskStatus>>> {
        let store = Store::new();
        for (name, content, system) in all {
            let path = format!("/dev/{name}");
            let spec =
                DiskStatus { path, content: (*content).to_owned(), system: *system, ..DiskStatus::default() };
            store.put::<DiskStatus>("test", name, spec).unwrap();
        }
        store.list::<DiskStatus>()
    }

    fn state() -> ResetRequest {
        ResetRequest { state: true, ..ResetRequest::default() }
    }

    fn whole() -> ResetRequest {
        ResetRequest { disk: true, method: v1::WipeMethod::Headers.into(), ..ResetRequest::default() }
    }

    #[test]
    fn the_system_disk_is_taken_and_no_other() {
        let all = disks(&[("vda", "corten 0.1.0", true), ("vdb", "corten 0.1.0", false)]);
        let found = plan(&state(), false, &all).unwrap();
        assert_eq!((found.device.as_str(), found.state, found.disk), ("vda", true, false));
        assert!(plan(&state(), false, &disks(&[("vdb", "corten", false)])).is_err());
    }

    #[test]
    fn on_the_medium_it_is_the_installed_disk_and_only_as_a_whole() {
        let all = disks(&[("sda", "iso9660", true), ("vda", "corten 0.1.0", false), ("vdb", "ext4", false)]);
        let found = plan(&whole(), true, &all).unwrap();
        assert_eq!((found.device.as_str(), found.method), ("vda", WipeMethod::Headers));
        assert!(plan(&state(), true, &all).unwrap_err().message().contains("install medium"));
        let two = disks(&[("vda", "corten 0.1.0", false), ("vdb", "corten 0.1.0", false)]);
        let detail = error::from_status(&plan(&whole(), true, &two).unwrap_err()).unwrap();
        assert_eq!(detail.causes, ["/dev/vda: corten 0.1.0", "/dev/vdb: corten 0.1.0"]);
    }

    #[test]
    fn nothing_named_is_a_mistake() {
        let status = plan(&ResetRequest::default(), false, &disks(&[("vda", "corten", true)])).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn what_comes_after_is_told() {
        let wipe = |state, disk| WipePlan { state, disk, device: "vda".into(), ..WipePlan::default() };
        assert!(goes_down(&wipe(true, false), PowerAction::Reboot).message.contains("maintenance"));
        assert!(goes_down(&wipe(false, true), PowerAction::Reboot).message.contains("install medium"));
        let last = goes_down(&wipe(false, true), PowerAction::PowerOff);
        assert!(last.finished && last.message.contains("stays off"));
        assert!(erases(&wipe(true, false)).message.contains("STATE on vda"));
    }
}
