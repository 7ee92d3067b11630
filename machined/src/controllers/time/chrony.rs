//! Renders chronyd's configuration and owns its `ServiceSpec`.
//!
//! Config wins over DHCP, and DHCP over the public pool. chronyd keeps the drift of the clock on EPHEMERAL, so it starts
//! when that is mounted, or when it is known that it will not be: it failed, or the system runs from an install medium,
//! where the clock matters to the machine that is installed. Nothing waits for the clock to be right.

use std::collections::BTreeMap;
use std::path::Path;

use corten_constants::{ids, labels};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::{VolumePhase, VolumeStatus};
use corten_resources::config::{ConfigSourceStatus, MachineConfig};
use corten_resources::install::InstallStatus;
use corten_resources::network::TimeServerSpec;
use corten_resources::runtime::{CgroupLimits, Directory, MACHINE, ServiceSpec};
use corten_store::{Kind, Store};

use crate::controllers::network::file::write_if_changed;
use crate::digest::sha256;

/// Name of the service.
const SERVICE: &str = "chronyd";
const CONFIG: &str = "/etc/chrony.conf";
const RUN: &str = "/run/chrony";
const DRIFT: &str = "/var/lib/chrony";
/// When nobody names a server. Four of its servers are used, so that one that is wrong is outvoted.
pub(super) const DEFAULT_POOL: &str = "pool.ntp.org";

/// The controller.
#[derive(Debug)]
pub(super) struct ChronyController;

impl Controller for ChronyController {
    fn name(&self) -> &'static str {
        "time/chrony"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[
            TimeServerSpec::NAME,
            VolumeStatus::NAME,
            MachineConfig::NAME,
            ConfigSourceStatus::NAME,
            InstallStatus::NAME,
        ]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[ServiceSpec::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let Some(drift) = drift(ctx.store()) else { return Ok(Next::Wait) };
        let specs: Vec<TimeServerSpec> =
            ctx.list::<TimeServerSpec>().iter().map(|spec| spec.spec.clone()).collect();
        let servers = wanted(specs);
        if let Some(servers) = &servers {
            write_if_changed(Path::new(CONFIG), &render(servers, drift))?;
        }
        let services = servers.map(|servers| (SERVICE.to_owned(), service(&render(&servers, drift), drift)));
        ctx.sync_owned::<ServiceSpec>(services.into_iter().collect::<BTreeMap<_, _>>())?;
        Ok(Next::Wait)
    }
}

/// Whether there is a place for the drift of the clock; none while it is too early to start.
fn drift(store: &Store) -> Option<bool> {
    // Before the config is known, it is not known whom to ask.
    let decided = store.get::<MachineConfig>(MachineConfig::ACTIVE).is_some()
        || store.get::<ConfigSourceStatus>(ConfigSourceStatus::ALL).is_some();
    let on_medium = store.get::<InstallStatus>(MACHINE).is_some();
    let phase = store.get::<VolumeStatus>(labels::EPHEMERAL).map(|volume| volume.spec.phase);
    match phase {
        Some(VolumePhase::Mounted | VolumePhase::Unmounted) if decided => Some(true),
        Some(VolumePhase::Failed) => Some(false),
        None if decided && on_medium => Some(false),
        _ => None,
    }
}

/// Whom to ask; none when the clock is not to be kept, an empty list for the public pool.
pub(super) fn wanted(mut specs: Vec<TimeServerSpec>) -> Option<Vec<String>> {
    // Stable: within a layer, the order of the ids, and so of the links.
    specs.sort_by_key(|spec| std::cmp::Reverse(spec.layer));
    if specs.first().is_some_and(|spec| !spec.enabled) {
        return None;
    }
    let servers = specs.into_iter().map(|spec| spec.servers).find(|servers| !servers.is_empty());
    Some(servers.unwrap_or_default())
}

fn render(servers: &[String], drift: bool) -> String {
    let mut lines = vec!["# Written by machined, from the Time document or DHCP.".to_owned()];
    lines.extend(servers.iter().map(|server| format!("server {server} iburst")));
    if servers.is_empty() {
        lines.push(format!("pool {DEFAULT_POOL} iburst maxsources 4"));
    }
    if drift {
        lines.push(format!("driftfile {DRIFT}/drift"));
    }
    lines.extend(
        [
            // A wrong clock at boot is put right at once; later, only slowly, because programs do not expect jumps.
            "makestep 1 3",
            // The kernel is told that the clock is right, and writes it to the hardware clock.
            "rtcsync",
            // Nobody but the service manager talks to it.
            "cmdport 0",
            "bindcmdaddress /",
        ]
        .map(str::to_owned),
    );
    lines.push(format!("pidfile {RUN}/chronyd.pid"));
    lines.join("\n") + "\n"
}

fn service(config: &str, drift: bool) -> ServiceSpec {
    let folder = |path: &str| Directory { path: path.into(), mode: 0o750, uid: ids::CHRONY };
    let mut directories = vec![folder(RUN)];
    if drift {
        directories.push(folder(DRIFT));
    }
    ServiceSpec {
        // -d: in the foreground, log to stderr; -U: started without root's rights; -F 1: its own filter of system calls,
        // since ours forbids setting the clock.
        command: ["/usr/bin/chronyd", "-d", "-U", "-F", "1", "-f", CONFIG].map(str::to_owned).to_vec(),
        user: Some(ids::CHRONY),
        capabilities: Some(vec!["CAP_SYS_TIME".into()]),
        no_new_privileges: true,
        cgroup: CgroupLimits { memory_max: Some(64 << 20), pids_max: Some(16), cpu_weight: None },
        directories,
        oom_score_adj: -500,
        stop_timeout_ms: 3_000,
        restart_on: sha256([config]),
        ..ServiceSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_resources::network::Layer;

    fn spec(layer: Layer, servers: &[&str], enabled: bool) -> TimeServerSpec {
        TimeServerSpec { servers: servers.iter().map(|&name| name.to_owned()).collect(), enabled, layer }
    }

    fn check(specs: &[TimeServerSpec], expect: Option<&[&str]>) {
        let expect = expect.map(|names| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(wanted(specs.to_vec()), expect);
    }

    #[test]
    fn the_highest_layer_that_names_servers_wins() {
        let (dhcp, config) =
            (spec(Layer::Dhcp, &["10.0.2.4"], true), spec(Layer::Config, &["192.0.2.1"], true));
        check(&[dhcp.clone(), config], Some(&["192.0.2.1"]));
        check(&[dhcp.clone(), spec(Layer::Config, &[], true)], Some(&["10.0.2.4"]));
        check(&[dhcp.clone(), spec(Layer::Config, &[], false)], None);
        check(&[], Some(&[]));
    }

    #[test]
    fn it_starts_with_ephemeral_and_without_on_a_medium() {
        let store = Store::new();
        let volume = |phase| {
            let status = VolumeStatus { phase, ..VolumeStatus::default() };
            store.put::<VolumeStatus>("test", labels::EPHEMERAL, status).unwrap();
        };
        assert_eq!(drift(&store), None);
        store.put::<InstallStatus>("test", MACHINE, InstallStatus::default()).unwrap();
        assert_eq!(drift(&store), None, "the sources of a config were not asked yet");
        store
            .put::<ConfigSourceStatus>("test", ConfigSourceStatus::ALL, ConfigSourceStatus::default())
            .unwrap();
        assert_eq!(drift(&store), Some(false), "an install medium has no volumes");
        store.destroy::<InstallStatus>("test", MACHINE).unwrap();
        assert_eq!(drift(&store), None);
        volume(VolumePhase::Mounted);
        assert_eq!(drift(&store), Some(true));
        volume(VolumePhase::Failed);
        assert_eq!(drift(&store), Some(false));
    }

    #[test]
    fn without_servers_the_pool_is_asked() {
        let text = render(&[], true);
        assert!(text.contains("\npool pool.ntp.org iburst maxsources 4\n"), "{text}");
        assert!(text.contains("\ndriftfile /var/lib/chrony/drift\n"), "{text}");
        let text = render(&["192.0.2.1".into()], false);
        assert!(text.contains("\nserver 192.0.2.1 iburst\n") && !text.contains("pool"), "{text}");
        assert!(!text.contains("driftfile"), "{text}");
    }

    #[test]
    fn chronyd_runs_with_one_capability_and_restarts_for_a_new_config() {
        let one = service(&render(&[], true), true);
        assert_eq!((one.user, one.capabilities), (Some(ids::CHRONY), Some(vec!["CAP_SYS_TIME".to_owned()])));
        assert_ne!(one.restart_on, service(&render(&["192.0.2.1".into()], true), true).restart_on);
    }
}
