//! The stage of the machine, and what keeps it from being ready.
//!
//! Reads almost every status; owns `MachineStatus` and `BootTimeline`, and writes the snapshot that the console shows.

use std::path::Path;
use std::time::Duration;

use corten_constants::labels;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::{DiskStatus, VolumeStatus};
use corten_resources::config::{ConfigSourceStatus, MachineConfig};
use corten_resources::install::{InstallPhase, InstallStatus};
use corten_resources::k8s::{EtcdMember, ImageStatus, KubernetesConfig, ManifestStatus, NodeStatus, Role};
use corten_resources::network::{HostnameStatus, NodeAddresses};
use corten_resources::runtime::{
    BootTimeline, ControllerStatus, MACHINE, MachineStage, MachineStatus, ServiceSpec, ServiceStatus,
    UnmetCondition,
};
use corten_resources::secrets::CertificateStatus;
use corten_resources::update::{SlotStatus, UpdateStatus};
use corten_store::{Kind as _, Store};
use serde_json::json;

use super::{on_medium, slots};
use crate::boot::timeline::Timeline;
use crate::controllers::config;
use crate::controllers::secrets::api::CERTIFICATE;
use crate::controllers::secrets::files;
use crate::node::Power;

/// File that the console reads.
pub const SNAPSHOT: &str = "/run/corten/status.json";

/// The controller.
#[derive(Debug)]
pub struct MachineStatusController {
    power: Power,
    timeline: Timeline,
}

impl MachineStatusController {
    /// Shows the stage that `power` asks for once somebody asked for a reboot or a shutdown.
    pub fn new(power: Power, timeline: Timeline) -> Self {
        Self { power, timeline }
    }
}

impl Controller for MachineStatusController {
    fn name(&self) -> &'static str {
        "runtime/machine_status"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[
            VolumeStatus::NAME,
            DiskStatus::NAME,
            InstallStatus::NAME,
            ConfigSourceStatus::NAME,
            MachineConfig::NAME,
            EtcdMember::NAME,
            ImageStatus::NAME,
            KubernetesConfig::NAME,
            ManifestStatus::NAME,
            NodeStatus::NAME,
            HostnameStatus::NAME,
            NodeAddresses::NAME,
            ServiceSpec::NAME,
            ServiceStatus::NAME,
            CertificateStatus::NAME,
            SlotStatus::NAME,
            UpdateStatus::NAME,
        ]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[MachineStatus::NAME, BootTimeline::NAME]
    }

    fn wake(&self) -> Option<std::sync::Arc<tokio::sync::Notify>> {
        Some(self.power.asked())
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let status = observe(ctx.store(), self.power.stage());
        mark(ctx.store(), &status, &self.timeline);
        let snapshot = snapshot(ctx.store(), &status).to_string();
        ctx.put::<MachineStatus>(MACHINE, status)?;
        ctx.put::<BootTimeline>(MACHINE, self.timeline.snapshot())?;
        tokio::task::spawn_blocking(move || {
            let path = Path::new(SNAPSHOT);
            if std::fs::read_to_string(path).is_ok_and(|have| have == snapshot) {
                return Ok(());
            }
            files::replace(path, &snapshot, 0o644, 0)
        })
        .await??;
        Ok(Next::After(Duration::from_secs(10)))
    }
}

/// Stage and unmet conditions, from everything that is known.
fn observe(store: &Store, asked: Option<MachineStage>) -> MachineStatus {
    let configured = store.get::<MachineConfig>(MachineConfig::ACTIVE).is_some();
    let install = on_medium::install(store);
    let stage = match asked {
        Some(stage) => stage,
        None if install.as_ref().is_some_and(|install| install.phase == InstallPhase::Running) => {
            MachineStage::Installing
        }
        None if configured => MachineStage::Running,
        None if store.get::<ConfigSourceStatus>(ConfigSourceStatus::ALL).is_some() => {
            MachineStage::Maintenance
        }
        None if broken_state(store).is_some() => MachineStage::Maintenance,
        None => MachineStage::Booting,
    };
    // A medium has no volumes, and keeps no config.
    let mut unmet = match &install {
        Some(install) => vec![on_medium::condition(store, install)],
        None => volumes(store),
    };
    if store.get::<NodeAddresses>(NodeAddresses::ID).is_none_or(|all| all.spec.ips().next().is_none()) {
        unmet.push(condition(
            "network",
            "the node has no routable address",
            "check the Link documents and DHCP",
        ));
    }
    if stage == MachineStage::Maintenance && install.is_none() {
        let (reason, hint) = match broken_state(store) {
            Some(_) => (
                "it would be on STATE, which cannot be used",
                "switch the machine off and on, or start it from the install medium to begin anew",
            ),
            None => (
                "no source has a config",
                "osctl apply-config --insecure --fingerprint <shown on the console> -f <config>",
            ),
        };
        unmet.push(condition("config", reason, hint));
    }
    if let Some(problem) = config::problem(store) {
        let reason = format!("this version cannot read the config: {problem}");
        unmet.push(condition("config", &reason, "go back to a version that can: osctl rollback"));
    }
    unmet.extend(cluster(store));
    unmet.extend(services(store));
    MachineStatus { stage, ready: stage == MachineStage::Running && unmet.is_empty(), unmet }
}

/// Notes in the boot timeline what is reached for the first time.
fn mark(store: &Store, status: &MachineStatus, timeline: &Timeline) {
    let ready = |id: &str| store.get::<ServiceStatus>(id).is_some_and(|service| service.spec.ready);
    let address =
        || store.get::<NodeAddresses>(NodeAddresses::ID).is_some_and(|all| all.spec.ips().next().is_some());
    let reached = [
        ("network", address()),
        ("config", store.get::<MachineConfig>(MachineConfig::ACTIVE).is_some()),
        ("api", ready("apid")),
        ("containerd", ready("containerd")),
        ("etcd", ready("etcd")),
        ("kube-apiserver", ready("kube-apiserver")),
        ("kubelet", ready("kubelet")),
        ("images", store.list::<ImageStatus>().len() == 2),
        ("node-ready", store.list::<NodeStatus>().iter().any(|node| node.spec.ready)),
        ("machine-ready", status.ready),
    ];
    for (name, _) in reached.iter().filter(|(_, reached)| *reached) {
        timeline.mark_once(name);
    }
}

/// Why STATE will not come up without an operator.
fn broken_state(store: &Store) -> Option<String> {
    let volume = store.get::<VolumeStatus>(labels::STATE)?;
    volume.spec.is_failed().then(|| volume.spec.message.clone())
}

fn volumes(store: &Store) -> Vec<UnmetCondition> {
    [labels::STATE, labels::EPHEMERAL]
        .into_iter()
        .filter_map(|label| {
            let name = format!("volume {label}");
            match store.get::<VolumeStatus>(label) {
                None => Some(condition(&name, "it is not there yet", "")),
                Some(volume) if !volume.spec.is_mounted() => Some(condition(&name, &volume.spec.message, "")),
                Some(_) => None,
            }
        })
        .collect()
}

fn cluster(store: &Store) -> Vec<UnmetCondition> {
    let mut unmet = Vec::new();
    let Some(config) = store.get::<KubernetesConfig>("local") else { return unmet };
    if config.spec.role == Role::ControlPlane && store.get::<EtcdMember>("local").is_none() {
        let data_lost =
            store.get::<ControllerStatus>("etcd/member").map(|status| status.spec.last_error.clone());
        match data_lost.filter(|error| !error.is_empty()) {
            Some(error) => unmet.push(condition("etcd-member", &error, "")),
            None => unmet.push(condition(
                "etcd-bootstrapped",
                "etcd has no data and is in no cluster",
                "osctl bootstrap, on exactly one control-plane node",
            )),
        }
        return unmet;
    }
    for image in store.list::<ImageStatus>().iter().filter(|image| !image.spec.error.is_empty()) {
        unmet.push(condition(&format!("image {}", image.metadata.id), &image.spec.error, ""));
    }
    for manifest in store.list::<ManifestStatus>().iter().filter(|manifest| !manifest.spec.error.is_empty()) {
        unmet.push(condition(&format!("manifest {}", manifest.metadata.id), &manifest.spec.error, ""));
    }
    if config.spec.role == Role::ControlPlane {
        let node = store.get::<NodeStatus>(&config.spec.node_name);
        if !node.as_ref().is_some_and(|node| node.spec.ready) {
            let reason = node.map_or_else(
                || "the API server has not been asked yet".to_owned(),
                |node| format!("{}: {}", node.spec.reason, node.spec.message),
            );
            unmet.push(condition("node-ready", reason.trim_end_matches(": "), ""));
        }
    }
    unmet
}

fn services(store: &Store) -> Vec<UnmetCondition> {
    let mut unmet = Vec::new();
    for spec in store.list::<ServiceSpec>() {
        let id = &spec.metadata.id;
        let Some(status) = store.get::<ServiceStatus>(id) else { continue };
        if !spec.spec.enabled || status.spec.ready {
            continue;
        }
        let mut condition = condition(
            &format!("service {id}"),
            &format!("{}: {}", status.spec.state, status.spec.message),
            &format!("osctl logs {id}"),
        );
        condition.causes = status.spec.waiting_for.iter().map(|what| format!("waits for {what}")).collect();
        condition.causes.extend(status.spec.last_exit.iter().map(|exit| format!("last exit: {exit}")));
        unmet.push(condition);
    }
    unmet
}

fn condition(name: &str, reason: &str, hint: &str) -> UnmetCondition {
    UnmetCondition {
        name: name.to_owned(),
        reason: reason.to_owned(),
        causes: Vec::new(),
        hint: hint.to_owned(),
    }
}

/// What the console shows; see `dashboard`.
fn snapshot(store: &Store, status: &MachineStatus) -> serde_json::Value {
    let addresses: Vec<String> = store
        .get::<NodeAddresses>(NodeAddresses::ID)
        .iter()
        .flat_map(|all| all.spec.ips().map(|address| address.to_string()).collect::<Vec<_>>())
        .collect();
    let maintenance = matches!(status.stage, MachineStage::Maintenance | MachineStage::Installing);
    let install = on_medium::install(store);
    let installed = install.as_ref().map(|_| on_medium::installed(store)).unwrap_or_default();
    let certificate = store.get::<CertificateStatus>(CERTIFICATE).filter(|_| maintenance);
    let services: Vec<_> = store
        .list::<ServiceStatus>()
        .iter()
        .map(|service| json!({ "id": service.metadata.id, "state": service.spec.state, "ready": service.spec.ready }))
        .collect();
    json!({
        "version": crate::versions::version(),
        "stage": status.stage,
        "ready": status.ready,
        "hostname": store.get::<HostnameStatus>(HostnameStatus::ID).map(|h| h.spec.hostname.clone()).unwrap_or_default(),
        "addresses": addresses,
        "fingerprint": certificate.map(|certificate| certificate.spec.fingerprint.clone()),
        "services": services,
        "unmet": status.unmet,
        "install": install.as_ref().map(on_medium::snapshot),
        "installed": installed,
        "update": slots::sentences(store),
    })
}
