//! From the install medium to a Ready node on its own disk, and what a plain copy of the same bytes takes there.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use corten_api::v1::{DisksRequest, WatchInstallRequest};
use corten_client::{Client, Options};
use corten_constants::labels;
use corten_lab::Mark;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::sleep;

use super::super::guest::Guest;
use super::super::report::{Figure, Target, Unit};
use super::super::rpc::mebibytes;
use super::super::tools::{Pod, Tools};
use super::{COPY, SYSTEM};
use crate::image::Artifacts;
use crate::progress;

/// How long a Ready node is left alone before the copy, which would else share the processors with its start.
const SETTLE: Duration = Duration::from_secs(30);
const NAMESPACE: &str = "bench";
const POD: &str = "copy";
/// Where the pod sees the node's root, so that the devices have their paths below it.
const HOST: &str = "/host";
/// An installation takes at most so many times as long as a copy.
const TIMES: f64 = 1.3;

/// When it was how far, since the node accepted the config.
#[derive(Debug)]
struct Installation {
    took: Duration,
    /// Each step, and when it was first heard of.
    steps: Vec<(String, Duration)>,
}

/// Waits for the medium, installs, bootstraps, and copies.
pub(super) async fn measure(guest: &Guest, tools: &Tools, built: &Artifacts) -> Result<Vec<Figure>> {
    let patience = 2 * guest.node()?.timeouts().ready();
    let fingerprint = guest.cluster().wait_fingerprint(Mark::START, patience).await?;
    guest.cluster().wait_api(patience).await?;
    let medium = guest.elapsed();
    let installation = install(guest, tools, &fingerprint).await.context("install")?;
    let installed = guest.elapsed();
    let answers = guest.answers().await.context("wait for the installed system")? - installed;
    guest.bootstrap().await?;
    guest.ready("").await.context("wait for Ready")?;
    let ready = guest.elapsed() - installed;
    progress::note("bench/life", "installed and Ready");
    sleep(SETTLE).await;
    let bytes = written(built)?;
    let copy = copy(guest, tools, bytes).await.context("copy the same bytes")?;
    progress::note("bench/life", "copied");

    let seconds = |name: &str, value: Duration| Figure::new(name, value.as_secs_f64(), Unit::Seconds);
    let mut figures = vec![
        seconds("medium: from power on until its API answers", medium),
        seconds("install: from the config's acceptance until it reports the end", installation.took),
    ];
    figures.extend(steps(&installation));
    figures.push(seconds("installed: from that end until the API answers from the disk", answers));
    figures.push(seconds("installed: from that end until Ready, with osctl bootstrap", ready));
    figures.push(mebibytes("bytes of root image, kernel image and boot loader", bytes));
    figures.push(seconds("copy of as many bytes to a blank disk, with fsync", copy));
    let times = installation.took.as_secs_f64() / copy.as_secs_f64().max(f64::EPSILON);
    figures.push(Figure::new("install, against that copy", times, Unit::Times).aim(Target::AtMost(TIMES)));
    Ok(figures)
}

/// What an installation cannot do without.
fn written(built: &Artifacts) -> Result<u64> {
    let length = |path| fs::metadata(path).map(|file| file.len()).context("look at what is installed");
    [&built.root, &built.uki, &built.loader].into_iter().map(length).sum()
}

/// `osctl apply-config`, and beside it a look at the same installation that keeps the times.
async fn install(guest: &Guest, tools: &Tools, fingerprint: &str) -> Result<Installation> {
    let config = guest.cluster().install_config(&format!("{{serial: {SYSTEM}}}"), false)?;
    let watcher =
        Client::connect_insecure(guest.address(), Some(fingerprint.parse()?), Options::default()).await?;
    let arguments = ["-n", guest.address(), "apply-config", "--insecure", "--fingerprint", fingerprint];
    let mut osctl = guest.osctl(tools, &arguments);
    let mut osctl =
        osctl.args(["--file", config.as_str()]).stdin(Stdio::null()).spawn().context("start osctl")?;
    let mut said = BufReader::new(osctl.stdout.take().context("osctl has no stdout")?).lines();
    // This line comes with the node's answer; nothing was written to the disk before.
    let accepted = said.next_line().await?;
    let begin = Instant::now();
    let installation = match accepted {
        Some(_) => Some(watch(&watcher, begin).await?),
        None => None,
    };
    let ended = osctl.wait_with_output().await?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr).trim());
    installation.context("osctl did not say that the node accepted the config")
}

/// Follows the installation to its end.
async fn watch(client: &Client, begin: Instant) -> Result<Installation> {
    let stream = client.storage().watch_install(WatchInstallRequest {}).await;
    let mut stream = stream.map_err(|status| client.error(&status))?.into_inner();
    let mut steps: Vec<(String, Duration)> = Vec::new();
    while let Some(progress) = stream.message().await.map_err(|status| client.error(&status))? {
        if progress.finished {
            return Ok(Installation { took: begin.elapsed(), steps });
        }
        if steps.last().is_none_or(|(step, _)| *step != progress.step) {
            steps.push((progress.step, begin.elapsed()));
        }
    }
    bail!("the node went down before it said that it is installed")
}

/// How long each step took that was heard of.
fn steps(installation: &Installation) -> Vec<Figure> {
    let begins = installation.steps.iter().map(|(_, begin)| *begin);
    let ends = begins.skip(1).chain([installation.took]);
    let took = installation.steps.iter().zip(ends).filter(|((step, _), _)| !step.is_empty());
    let figure = |((step, begin), end): (&(String, Duration), Duration)| {
        let took = end.saturating_sub(*begin).as_secs_f64();
        Figure::new(format!("install: step {step}, to half a second"), took, Unit::Seconds)
    };
    took.map(figure).collect()
}

/// What a pod takes for a copy from the running slot to the blank disk.
async fn copy(guest: &Guest, tools: &Tools, bytes: u64) -> Result<Duration> {
    let (from, to) = devices(guest).await?;
    let manifest = manifest(&from, &to, bytes).to_string();
    let pod = Pod { namespace: NAMESPACE, name: POD, manifest: &manifest };
    guest.pod(tools, pod, "Succeeded").await?;
    let said = guest.kubectl(tools, &["--namespace", NAMESPACE, "logs", POD])?;
    guest.kubectl(tools, &["delete", "namespace", NAMESPACE, "--wait=false"])?;
    seconds(&said).with_context(|| format!("read what the copy says: {said:?}"))
}

/// The first root slot, and the blank disk.
async fn devices(guest: &Guest) -> Result<(String, String)> {
    let disks = guest.client().await?.storage().disks(DisksRequest {}).await?.into_inner().disks;
    let disk = |serial: &str| {
        let found = disks.iter().find(|disk| disk.serial == serial);
        found.with_context(|| format!("the node has no disk with serial number {serial}"))
    };
    let (system, blank) = (disk(SYSTEM)?, disk(COPY)?);
    let slot = system.partitions.iter().find(|partition| partition.label == labels::ROOT_A);
    let slot = slot.with_context(|| format!("{} has no {}", system.path, labels::ROOT_A))?;
    Ok((format!("{}{}", system.path, slot.number), blank.path.clone()))
}

/// A pod that may write to disks, in a namespace that lets it.
fn manifest(from: &str, to: &str, bytes: u64) -> Value {
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": { "pod-security.kubernetes.io/enforce": "privileged" },
        },
    });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": POD, "namespace": NAMESPACE },
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "main",
                "image": "corten.dev/workload:latest",
                "imagePullPolicy": "Never",
                "args": ["copy", format!("{HOST}{from}"), format!("{HOST}{to}"), bytes.to_string()],
                "securityContext": { "privileged": true },
                "volumeMounts": [{ "name": "devices", "mountPath": format!("{HOST}/dev") }],
            }],
            "volumes": [{ "name": "devices", "hostPath": { "path": "/dev" } }],
        },
    });
    json!({ "apiVersion": "v1", "kind": "List", "items": [namespace, pod] })
}

/// `153000000 bytes in 1.250 s`
fn seconds(said: &str) -> Option<Duration> {
    let number = said.trim().strip_suffix(" s")?.rsplit_once(" in ")?.1.parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_copy_is_in_its_last_words() {
        assert_eq!(seconds("153000000 bytes in 1.250 s\n"), Some(Duration::from_millis(1250)));
        assert_eq!(seconds("workload: no such file"), None);
        assert_eq!(seconds("1 bytes in -1 s"), None);
    }

    #[test]
    fn a_step_ends_where_the_next_one_begins() {
        let step = |name: &str, seconds| (name.to_owned(), Duration::from_secs(seconds));
        let steps_seen = vec![step("", 0), step("write-root", 1), step("verify", 4)];
        let figures = steps(&Installation { took: Duration::from_secs(6), steps: steps_seen });
        let shown: Vec<_> = figures.iter().map(|figure| (figure.name.as_str(), figure.shown())).collect();
        let expected = [("write-root", "3.0 s"), ("verify", "2.0 s")];
        for ((name, took), (step, expected)) in shown.iter().zip(expected) {
            assert!(name.contains(step) && took == expected, "{shown:?}");
        }
        assert_eq!(shown.len(), expected.len());
    }

    #[test]
    fn the_pod_sees_the_devices_of_the_node() {
        let args = &manifest("/dev/vda3", "/dev/vdb", 5)["items"][1]["spec"]["containers"][0]["args"];
        assert_eq!(*args, json!(["copy", "/host/dev/vda3", "/host/dev/vdb", "5"]));
    }
}
