//! A config on an install medium: it is not kept here, it goes to the disk that it names.

use corten_api::v1::ApplyConfigResponse;
use corten_api::{codes, error};
use corten_config::Config;
use tonic::Status;

use super::to_proto;
use crate::controllers::install::engine::{self, Job, NoJob};
use crate::node::Node;

/// Chooses the disk, and starts the installation unless this is a dry run; then the plan is the answer.
pub(super) async fn install(
    node: &Node,
    medium: &str,
    config: Config,
    text: String,
    dry_run: bool,
) -> Result<ApplyConfigResponse, Status> {
    if node.installs.is_running() {
        return Err(running());
    }
    let warnings = config.warnings().iter().map(to_proto::problem).collect();
    let (engine, medium) = (node.installs.engine(), medium.to_owned());
    let chosen = tokio::task::spawn_blocking(move || engine::job(engine.as_ref(), &medium, &config, text));
    let job = chosen.await.map_err(|panic| error::to_status(codes::INTERNAL, &panic, ""))?;
    let job = job.map_err(|reason| refused(&reason))?;
    let messages = messages(&job, dry_run);
    if !dry_run {
        node.installs.start(job).map_err(|_| running())?;
    }
    Ok(ApplyConfigResponse { warnings, messages, ..ApplyConfigResponse::default() })
}

fn messages(job: &Job, dry_run: bool) -> Vec<String> {
    let path = &job.chosen.disk.path;
    if !dry_run {
        return vec![format!("installing to {path}; the machine restarts from it when that is done")];
    }
    let mut lines = vec![format!("would install to {path}:")];
    lines.extend(job.chosen.plan.iter().cloned());
    lines
}

fn running() -> Status {
    let hint = "wait for it: osctl status, or the console";
    error::status(codes::INSTALL_RUNNING, "an installation is running", hint)
}

/// Every disk is a cause, with the reason that it did or did not match.
fn refused(reason: &NoJob) -> Status {
    let (code, disks, hint) = match reason {
        NoJob::NoInstall => {
            let hint = "add a document of kind Install that selects a disk: osctl disks shows them";
            (codes::INSTALL_REQUIRED, Vec::new(), hint.to_owned())
        }
        NoJob::NotChosen(reason) => (codes::INSTALL_DISK, reason.disks.clone(), reason.hint.clone()),
    };
    let detail = error::ErrorDetail { code: code.into(), causes: disks, hint, ..Default::default() };
    error::with_detail(reason.to_string(), detail)
}

#[cfg(test)]
mod tests {
    use corten_sys::block::Disk;

    use super::*;
    use crate::controllers::install::engine::{Chosen, NotChosen};

    #[test]
    fn a_refusal_lists_every_disk_and_says_what_to_do() {
        let reason = NotChosen {
            message: "2 disks match".into(),
            disks: vec!["/dev/vda: matches".into(), "/dev/vdb: matches".into()],
            hint: "name its serial number".into(),
        };
        let detail = error::from_status(&refused(&reason.into())).unwrap();
        assert_eq!((detail.code.as_str(), detail.causes.len()), (codes::INSTALL_DISK, 2));
        assert_eq!(detail.hint, "name its serial number");
        let detail = error::from_status(&refused(&NoJob::NoInstall)).unwrap();
        assert_eq!(detail.code, codes::INSTALL_REQUIRED);
        assert!(detail.hint.contains("Install"));
    }

    #[test]
    fn a_dry_run_shows_the_plan() {
        let disk = Disk { path: "/dev/vda".into(), ..Disk::default() };
        let chosen = Chosen { disk, plan: vec!["EFI 1 GiB".into()], installed: false };
        let job = Job { text: String::new(), chosen };
        assert_eq!(messages(&job, true), ["would install to /dev/vda:", "EFI 1 GiB"]);
        assert!(messages(&job, false)[0].starts_with("installing to /dev/vda"));
    }
}
