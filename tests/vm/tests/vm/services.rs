//! Services that die, a STATE that is full, orphans; and what services may do.

use anyhow::{Context as _, Result, ensure};
use corten_api::v1;
use corten_constants::{ids, paths};
use corten_vm_tests::{Lab, Pod, TestNode, rotating_in_turn, vm_test, vm_test_in_turn};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Every service of a control-plane node, and the name of its process.
const SERVICES: [(&str, &str); 11] = [
    ("etcd", "etcd"),
    ("kubelet", "kubelet"),
    ("apid", "apid"),
    ("kube-apiserver", "kube-apiserver"),
    ("containerd", "containerd"),
    ("flanneld", "flanneld"),
    ("kube-proxy", "kube-proxy"),
    ("chronyd", "chronyd"),
    ("kube-scheduler", "kube-scheduler"),
    ("kube-controller-manager", "kube-controller-manager"),
    ("dashboard", "dashboard"),
];
const KILLS: u32 = 10;
/// Services a run kills: each restart takes some seconds, and some take others with them.
const SERVICES_A_RUN: usize = 1;

/// Waits until a service runs as another process than `before`.
pub(crate) async fn back(node: &TestNode, service: &str, before: u32, patience: Duration) -> Result<u32> {
    let deadline = Instant::now() + patience;
    loop {
        let services = node.services().await.unwrap_or_default();
        let found = services.iter().find(|candidate| candidate.id == service);
        if let Some(found) = found.filter(|found| found.ready && found.pid != before && found.pid != 0) {
            return Ok(found.pid);
        }
        ensure!(Instant::now() < deadline, "{service} did not come back: {found:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Kills through the pod; the connection of `kubectl exec` may die with what it killed.
async fn kill(
    pod: &Pod,
    node: &TestNode,
    service: &str,
    process: &str,
    before: u32,
    lab: &Lab,
) -> Result<u32> {
    let deadline = Instant::now() + lab.timeouts().seconds(30);
    loop {
        let finished = pod.exec(&["kill", process]).await?;
        // A connection that broke says nothing about the kill, and a second one could hit the next process in its start.
        let services = node.services().await;
        let gone = |found: &v1::Service| found.id == service && (!found.ready || found.pid != before);
        let hit = finished.code == Some(0) || services.map_or(true, |all| all.iter().any(gone));
        let patience = if hit { lab.timeouts().seconds(20) } else { Duration::from_secs(3) };
        match back(node, service, before, patience).await {
            Ok(pid) => return Ok(pid),
            Err(error) if Instant::now() > deadline => return Err(error.context(finished.to_string())),
            Err(_) => {}
        }
    }
}

#[test]
fn a_service_that_is_killed_ten_times_runs_again_each_time() {
    vm_test_in_turn(0, async |lab| {
        let node = lab.ready_node().await?;
        let pod = node.privileged_pod("killer").await?;
        for (service, _) in SERVICES {
            node.expect_restart(service);
        }
        for (service, process) in rotating_in_turn(&SERVICES, SERVICES_A_RUN) {
            let mut pid = back(&node, service, 0, lab.timeouts().seconds(20)).await?;
            for round in 1..=KILLS {
                if service == "dashboard" {
                    node.expect_boot(); // boots are counted by its first line
                }
                pid = kill(&pod, &node, service, process, pid, lab)
                    .await
                    .with_context(|| format!("kill {round} of {service}"))?;
            }
            let services = node.services().await?;
            let counted = services.iter().find(|found| found.id == service).map_or(0, |found| found.restarts);
            ensure!(counted >= KILLS, "{service} was killed {KILLS} times and counted {counted} restarts");
        }
        node.wait_ready().await?;
        // The kubelet waits up to three seconds before it calls a containerd anew that it did not reach.
        let reached = pod.exec_until(&["env"], lab.timeouts().seconds(10)).await;
        reached.context("the pod did not outlive the services").map(drop)
    });
}

#[test]
fn an_api_that_hangs_is_found_out_and_starts_again() {
    vm_test_in_turn(0, async |lab| {
        let node = lab.ready_node().await?;
        let pod = node.privileged_pod("freezer").await?;
        node.expect_restart("apid");
        let before = back(&node, "apid", 0, lab.timeouts().seconds(20)).await?;
        pod.exec(&["kill", "apid", "STOP"]).await?.ok()?;
        // Three checks of 15 seconds and 5 more of silence each, and the time that it has to end by itself.
        let patience = Duration::from_secs(63) + lab.timeouts().seconds(20);
        back(&node, "apid", before, patience).await.map(drop)
    });
}

/// What a config may add to that of any node.
pub(crate) const MORE_MAPS: &str =
    "---\napiVersion: corten.dev/v1\nkind: Sysctl\nsettings:\n  vm.max_map_count: \"300000\"\n";

#[test]
fn a_full_state_refuses_a_new_config_keeps_the_old_one_and_takes_the_next_when_there_is_room() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let pod = node.privileged_pod("filler").await?;
        pod.exec(&["fill", "/host/system/state"]).await?.ok()?;
        let before = node.status().await?.config_generation;

        let good = std::fs::read_to_string(node.cluster().config_file())?;
        let file = lab.dir().join("more.yaml");
        // Larger than what an inode's slack could hold.
        let padding = format!("# {}\n", "x".repeat(70)).repeat(1000);
        std::fs::write(&file, format!("{good}{MORE_MAPS}{padding}"))?;
        let refused = node.osctl().run(&["apply-config", "-f", file.as_str()]).await?;
        ensure!(refused.code != Some(0), "a config was taken that could not be kept: {refused}");
        refused.fails(refused.code.unwrap_or(1), &["space"])?;
        ensure!(node.status().await?.config_generation == before);

        pod.exec(&["remove", "/host/system/state/filler"]).await?.ok()?;
        node.osctl().ok(&["apply-config", "-f", file.as_str()]).await?;
        ensure!(node.status().await?.config_generation > before);
        Ok(())
    });
}

const ORPHANS: usize = 1000;

/// What is left of a pod's processes: its children, and zombies of whatever name.
async fn left(node: &TestNode) -> Result<(usize, usize)> {
    let request = corten_api::v1::ListProcessesRequest {};
    let answer = node.client().await?.processes().list(request).await?.into_inner();
    let (zombies, alive): (Vec<_>, Vec<_>) =
        answer.processes.iter().partition(|process| process.state == "Z");
    Ok((alive.iter().filter(|process| process.name == "workload").count(), zombies.len()))
}

#[test]
fn orphans_by_the_thousand_leave_no_zombie() {
    vm_test_in_turn(3, async |lab| {
        let node = lab.ready_node().await?;
        let pod = node.privileged_pod("parent").await?;
        pod.exec(&["fork-orphans", &ORPHANS.to_string()]).await?.ok()?;
        let (alive, _) = left(&node).await?;
        ensure!(alive >= ORPHANS, "{alive} processes were left behind");
        // The shim would reap them. Without it they are PID 1's, and containerd ends what is in the container.
        let killed = pod.exec(&["kill-shim"]).await?;
        ensure!(!killed.stderr.contains("workload:"), "{killed}");
        let deadline = Instant::now() + lab.timeouts().seconds(20);
        loop {
            let (alive, zombies) = left(&node).await?;
            // One is the pod itself, which may have started anew.
            if alive <= 1 && zombies == 0 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{alive} processes and {zombies} zombies are left");
            sleep(Duration::from_millis(300)).await;
        }
    });
}

/// A value that only the kubelet itself refuses: the config knows the field, and not its range.
const BROKEN: &str =
    "---\napiVersion: corten.dev/v1\nkind: Kubelet\nextraConfig: {imageGCHighThresholdPercent: 200}\n";
/// Its pauses are a quarter of a second, a half, one, two, …; the jitter takes a quarter at most.
const FAILURES: u32 = 4;
const LONGER: f64 = 1.4;

/// The pause in `…; next start in 2.1 s…`.
fn pause(message: &str) -> Option<f64> {
    message.split_once("next start in ")?.1.split_once(' ')?.0.parse().ok()
}

/// Waits until the service has failed so often that its pauses must have grown.
async fn backing_off(node: &TestNode, service: &str, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let services = node.services().await?;
        let found = services.iter().find(|found| found.id == service);
        if let Some(found) = found {
            ensure!(!found.ready, "{service} became ready: {found:?}");
            if found.restarts >= FAILURES && pause(&found.message).is_some_and(|pause| pause >= LONGER) {
                return Ok(());
            }
        }
        ensure!(Instant::now() < deadline, "{service} is not retried with growing pauses: {found:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_service_that_never_gets_ready_is_told_with_its_reason_and_tried_again_while_the_machine_is_usable() {
    vm_test(async |lab| {
        let mut options = lab.options("broken");
        options.extra_config = BROKEN.to_owned();
        let node = lab.node(&options).await?;
        node.expect_restart("kubelet");
        backing_off(&node, "kubelet", lab.timeouts().seconds(60)).await?;

        let told = |text: &str| {
            [
                "not met: service kubelet",
                "next start in",
                "last exit: exit code 1",
                "hint: osctl logs kubelet",
            ]
            .iter()
            .all(|part| text.contains(part))
        };
        node.osctl().until(&["status"], lab.timeouts().seconds(20), told).await?;
        let ended =
            |text: &str| text.lines().any(|row| row.contains("kubelet") && row.contains("exit code 1"));
        node.osctl().until(&["services"], lab.timeouts().seconds(20), ended).await?;
        let log = node.osctl().ok(&["logs", "kubelet"]).await?;
        ensure!(log.contains("imageGCHighThresholdPercent"), "the log lacks the reason: {log}");

        // Nothing else is drawn in, and what is wrong can be put right through the API.
        back(&node, "containerd", 0, lab.timeouts().seconds(20)).await?;
        let mended =
            std::fs::read_to_string(node.cluster().config_file())?.replace("Percent: 200", "Percent: 85");
        let file = lab.dir().join("mended.yaml");
        std::fs::write(&file, mended)?;
        node.osctl().ok(&["apply-config", "-f", file.as_str()]).await?;
        back(&node, "kubelet", 0, lab.timeouts().seconds(60)).await.map(drop)
    });
}

/// The services that need no privilege, and their users.
const UNPRIVILEGED: [(&str, u32); 5] = [
    ("apid", ids::APID),
    ("etcd", ids::ETCD),
    ("kube-apiserver", ids::KUBE_APISERVER),
    ("kube-controller-manager", ids::KUBE_CONTROLLER_MANAGER),
    ("kube-scheduler", ids::KUBE_SCHEDULER),
];

/// Kernel settings that a node changes, below `/proc/sys`.
const SETTINGS: [(&str, &str); 6] = [
    ("fs/protected_regular", "2"),
    ("kernel/io_uring_disabled", "1"),
    ("kernel/kptr_restrict", "1"),
    ("kernel/sysrq", "0"),
    ("kernel/yama/ptrace_scope", "1"),
    ("vm/max_map_count", "262144"),
];

/// As the kernel sees the processes.
async fn have_no_privilege(node: &TestNode, pod: &Pod) -> Result<()> {
    let services = node.services().await?;
    for (name, uid) in UNPRIVILEGED {
        let pid = services.iter().find(|service| service.id == name).context(name)?.pid;
        let status = pod.exec(&["cat", &format!("/proc/{pid}/status")]).await?.ok()?;
        let is = |field: &str, value: &str| status.lines().any(|line| line == format!("{field}:\t{value}"));
        let user = is("Uid", &format!("{uid}\t{uid}\t{uid}\t{uid}"));
        let none = is("CapEff", "0000000000000000") && is("NoNewPrivs", "1");
        ensure!(user && none, "{name} may do more than it has to: {status}");
        // Of the others nobody knows which calls they make.
        ensure!(name != "apid" || is("Seccomp", "2"), "apid has no system call filter: {status}");
    }
    Ok(())
}

#[test]
fn services_have_no_privilege_and_the_kernel_the_settings_of_the_node_and_of_its_config() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let pod = node.privileged_pod("inspector").await?;
        have_no_privilege(&node, &pod).await?;
        for (name, value) in SETTINGS {
            let is = pod.exec(&["cat", &format!("/proc/sys/{name}")]).await?.ok()?;
            ensure!(is.trim() == value, "{name} is {is:?}");
        }
        let config = std::fs::read_to_string(node.cluster().config_file())?;
        let file = lab.dir().join("more.yaml");
        std::fs::write(&file, format!("{config}{MORE_MAPS}"))?;
        node.osctl().ok(&["apply-config", "-f", file.as_str()]).await?;
        // It is applied a moment after the config is kept.
        let set = ["grep", "/proc/sys/vm/max_map_count", "300000"];
        pod.exec_until(&set, lab.timeouts().seconds(10)).await.context("the config's setting")?;
        let log = format!("/host{}/chronyd.log", paths::LOGS);
        pod.exec(&["grep", &log, "chronyd version"]).await?.ok().context("the log file").map(drop)
    });
}
