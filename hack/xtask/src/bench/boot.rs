//! Boots in QEMU, again and again: when each phase was reached, counted from power on, and what the node then costs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use corten_api::v1::ListProcessesResponse;
use corten_lab::Boot;
use tokio::time::sleep;

use super::guest::Guest;
use super::host::Watch;
use super::report::{Figure, Section, Target, Unit};
use super::rpc::{mebibytes, osctl_version};
use super::tools::Tools;
use crate::image::Artifacts;
use crate::progress::{self, Step};

/// How long a Ready node is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(30);

/// Marks of the node's own timeline, what they are called here, and when they should be reached, in seconds.
const MARKS: &[(&str, &str, Option<f64>)] = &[
    ("init", "init runs", None),
    ("root switched", "root switched", Some(4.2)),
    ("machined", "machined runs", None),
    ("network", "network is up", None),
    ("api", "API is ready, by the node's own record", None),
    ("containerd", "containerd serves", None),
    ("etcd", "etcd serves", None),
    ("kube-apiserver", "API server serves", None),
    ("images", "pause and CoreDNS images are imported", None),
    ("node-ready", "node Ready", Some(42.0)),
];
const API_TARGET: f64 = 7.0;
const POWER_OFF_TARGET: f64 = 8.0;
const MEMORY_TARGET: f64 = 400.0;
const PROCESSES_TARGET: f64 = 16.0;
/// Our own programs on the node, and what all of them together may hold, in MiB.
const OWN: [&str; 4] = ["machined", "apid", "chronyd", "dashboard"];
const OWN_TARGET: f64 = 30.0;
const OSCTL_TARGET_MS: f64 = 100.0;

/// Samples by name, in the order in which the names first came.
#[derive(Debug, Default)]
struct Samples(Vec<(String, Vec<f64>, Option<f64>)>);

impl Samples {
    fn add(&mut self, name: &str, seconds: f64, target: Option<f64>) {
        match self.0.iter_mut().find(|(known, ..)| known == name) {
            Some((_, samples, _)) => samples.push(seconds),
            None => self.0.push((name.to_owned(), vec![seconds], target)),
        }
    }

    fn figures(self) -> Vec<Figure> {
        let figures = self.0.into_iter().filter_map(|(name, samples, target)| {
            let figure = Figure::median(name, samples, Unit::Seconds)?;
            Some(target.iter().fold(figure, |figure, target| figure.aim(Target::AtMost(*target))))
        });
        figures.collect()
    }
}

/// What is looked at beyond the boot itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// A boot, a pod, a reboot, and power off.
    Life,
    /// Also memory and processes at rest, and osctl.
    Rest,
}

/// Direct kernel boot: everything.
pub(super) fn direct(built: &Artifacts, boots: usize) -> Result<Section> {
    let extent = |index| if index == 0 { Extent::Rest } else { Extent::Life };
    boot("direct", "Boot in QEMU, kernel loaded directly", Boot::Direct, built, boots, extent)
}

/// Through the firmware: all but what the way of booting does not change.
pub(super) fn firmware(built: &Artifacts, boots: usize) -> Result<Section> {
    boot(
        "firmware",
        "Boot in QEMU, through UEFI firmware and boot loader",
        Boot::Firmware,
        built,
        boots,
        |_| Extent::Life,
    )
}

fn boot(
    id: &str,
    title: &str,
    boot: Boot,
    built: &Artifacts,
    boots: usize,
    extent: impl Fn(usize) -> Extent,
) -> Result<Section> {
    let tools = Tools::of(built);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (watch, mut ours) = (Watch::start()?, Duration::ZERO);
    let (mut samples, mut figures, mut accel) = (Samples::default(), Vec::new(), "");
    for index in 0..boots {
        let step = Step::start(&format!("bench/{id}"), &format!("boot {} of {boots}", index + 1));
        let guest = runtime.block_on(Guest::power_on(&format!("bench-{id}"), boot))?;
        accel = guest.node()?.spec().accel.name();
        let measured = runtime.block_on(life(&guest, &tools, extent(index), &mut samples));
        let console = guest.node()?.console().path().to_owned();
        match measured {
            Ok(life) => {
                ours += life.cpu;
                figures.extend(life.figures);
                guest.destroy()?;
            }
            Err(error) => {
                runtime.block_on(guest.node()?.power_cut())?;
                return Err(error)
                    .with_context(|| format!("boot {}; its console is in {console}", index + 1));
            }
        }
        step.done("measured");
    }
    let load = watch.stop(ours)?;
    let mut all = samples.figures();
    all.extend(figures);
    let method = format!(
        "First boot with a config present, 2 processors, 4 GiB, accelerator {accel}; times since power on. The marks \
         are the node's own, moved by when its kernel started; \"API answers\", pods, reboots and power off are \
         timed from outside."
    );
    super::section(id, title, &method, Some(load), all)
}

/// What one machine's life told, apart from times.
#[derive(Debug)]
struct Life {
    figures: Vec<Figure>,
    cpu: Duration,
}

async fn life(guest: &Guest, tools: &Tools, extent: Extent, samples: &mut Samples) -> Result<Life> {
    let answers = guest.answers().await.context("wait for the API")?;
    guest.bootstrap().await?;
    let boot_id = guest.ready("").await.context("wait for Ready")?;
    let cpu_until_ready = guest.cpu_time();
    let kernel = guest.kernel_start().await?;
    samples.add("kernel runs", kernel.as_secs_f64(), None);
    marks(&guest.timeline().await?, kernel, samples);
    samples.add("API answers", answers.as_secs_f64(), Some(API_TARGET));
    samples.add("processor time of QEMU until Ready", cpu_until_ready.as_secs_f64(), None);
    let mut figures = Vec::new();
    if extent == Extent::Rest {
        sleep(SETTLE).await;
        figures.extend(at_rest(&guest.processes().await?));
        let contexts = guest.contexts_file();
        figures.extend(osctl_version(
            &tools.osctl,
            contexts.as_std_path(),
            "against the node",
            OSCTL_TARGET_MS,
        )?);
    }
    let begun = guest.elapsed();
    guest.first_pod(tools).await.context("start a pod")?;
    let took = guest.elapsed() - begun;
    samples.add("from then on: image imported, first pod running", took.as_secs_f64(), None);
    let took = guest.reboot(&boot_id).await.context("reboot")?;
    samples.add("reboot, from the request until Ready again", took.as_secs_f64(), None);
    let ready = guest.timeline().await?.into_iter().find(|(name, _)| name == "node-ready");
    if let Some((_, ready)) = ready {
        samples.add(
            "node Ready after a reboot, since power on as above",
            (kernel + ready).as_secs_f64(),
            Some(42.0),
        );
    }
    let cpu = guest.cpu_time();
    let off = guest.power_off().await.context("power off")?;
    samples.add("power off, from the request", off.as_secs_f64(), Some(POWER_OFF_TARGET));
    Ok(Life { figures, cpu })
}

fn marks(timeline: &[(String, Duration)], kernel: Duration, samples: &mut Samples) {
    for (mark, name, target) in MARKS {
        match timeline.iter().find(|(known, _)| known == mark) {
            Some((_, at)) => samples.add(name, (kernel + *at).as_secs_f64(), *target),
            None => progress::note("bench", &format!("the node's timeline has no mark {mark:?}")),
        }
    }
}

/// Memory and processes of a node that has nothing to do.
#[expect(clippy::cast_precision_loss, reason = "a handful of processes")]
fn at_rest(answer: &ListProcessesResponse) -> Vec<Figure> {
    let used = mebibytes("memory used, control plane idle", answer.memory_used_bytes);
    let mut figures = vec![used.aim(Target::AtMost(MEMORY_TARGET))];
    let of_pods = |cgroup: &str| cgroup.contains("kubepods");
    let shim = |name: &str| name.starts_with("containerd-shim");
    let (pods, node): (Vec<_>, Vec<_>) =
        answer.processes.iter().partition(|process| of_pods(&process.cgroup) || shim(&process.name));
    let own = node
        .iter()
        .filter(|process| OWN.contains(&process.name.as_str()))
        .map(|process| process.pss_bytes)
        .sum();
    figures
        .push(mebibytes(&format!("PSS of {} together", OWN.join(", ")), own).aim(Target::AtMost(OWN_TARGET)));
    let count =
        Figure::new("processes of the node, pods and their shims left out", node.len() as f64, Unit::Count);
    figures.push(count.aim(Target::AtMost(PROCESSES_TARGET)));
    figures.push(Figure::new("processes of pods and shims (CoreDNS)", pods.len() as f64, Unit::Count));
    let mut sorted: Vec<_> = answer.processes.iter().collect();
    sorted.sort_by_key(|process| std::cmp::Reverse(process.pss_bytes));
    figures.extend(sorted.iter().map(|process| {
        let cpu = Duration::from_millis(process.cpu_ms).as_secs_f64();
        mebibytes(&format!("PSS of {} ({cpu:.1} s of processor time)", process.name), process.pss_bytes)
    }));
    figures
}

#[cfg(test)]
mod tests {
    use corten_api::v1::Process;

    use super::*;

    fn process(name: &str, cgroup: &str, mebibytes: u64) -> Process {
        Process { name: name.into(), cgroup: cgroup.into(), pss_bytes: mebibytes << 20, ..Process::default() }
    }

    #[test]
    fn a_pod_is_not_a_process_of_the_node() {
        let answer = ListProcessesResponse {
            processes: vec![
                process("machined", "/", 9),
                process("apid", "/system/apid", 6),
                process("etcd", "/system/etcd", 40),
                process("coredns", "/kubepods/burstable/pod1/x", 20),
                process("containerd-shim", "/system/containerd", 5),
            ],
            memory_used_bytes: 390 << 20,
            memory_total_bytes: 4 << 30,
        };
        let figures = at_rest(&answer);
        let shown: Vec<_> = figures.iter().take(4).map(|figure| (figure.shown(), figure.reached())).collect();
        let expected = [("390.0 MiB", Some(true)), ("15.0 MiB", Some(true)), ("3", Some(true)), ("2", None)];
        assert_eq!(shown, expected.map(|(shown, reached)| (shown.to_owned(), reached)));
        assert!(figures[4].name.contains("etcd"), "the largest first");
    }

    #[test]
    fn marks_count_from_power_on() {
        let mut samples = Samples::default();
        let timeline = |seconds| [("init".to_owned(), Duration::from_secs(seconds))];
        marks(&timeline(2), Duration::from_secs(1), &mut samples);
        marks(&timeline(4), Duration::from_secs(1), &mut samples);
        marks(&timeline(6), Duration::from_secs(1), &mut samples);
        let figures = samples.figures();
        assert_eq!((figures.len(), figures[0].shown()), (1, "5.0 s".to_owned()));
    }
}
