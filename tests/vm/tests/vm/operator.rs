//! What an operator does with `osctl` on an ordinary day: look, stop, start, follow, and make and remove clusters on
//! the own computer.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8Path;
use corten_client::Contexts;
use corten_constants::ports;
use corten_lab::cluster::Cluster;
use corten_lab::{Boot, Mark};
use corten_vm_tests::{Lab, TestNode, Tool, vm_test};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tonic_reflection::pb::v1 as reflection;

/// Nothing waits for it, and a clock goes on without it for a while.
const SERVICE: &str = "chronyd";

/// A command that goes on, read while it does.
struct Follow {
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
    patience: Duration,
    _child: Child,
}

impl Follow {
    fn start(node: &TestNode, arguments: &[&str]) -> Result<Self> {
        let osctl = node.osctl();
        let mut child = Command::new(&osctl.program)
            .envs(osctl.environment)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        let patience = node.machine().timeouts().seconds(10);
        Ok(Self { lines: BufReader::new(stdout).lines(), seen: Vec::new(), patience, _child: child })
    }

    /// Reads on until a line has all of these words.
    async fn until(&mut self, words: &[&str]) -> Result<()> {
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            let line = tokio::time::timeout_at(deadline, self.lines.next_line()).await;
            let Ok(Some(line)) = line.unwrap_or(Ok(None)) else {
                bail!("no line with {words:?} came, but {:#?}", self.seen)
            };
            let wanted = words.iter().all(|word| line.contains(word));
            self.seen.push(line);
            if wanted {
                return Ok(());
            }
        }
    }
}

/// Runs `osctl services` until it shows the service in that state.
async fn shown(node: &TestNode, state: &str) -> Result<()> {
    let row = |line: &str| line.split_whitespace().take(2).eq([SERVICE, state]);
    let patience = node.machine().timeouts().seconds(10);
    node.osctl().until(&["services"], patience, |text| text.lines().any(row)).await.map(drop)
}

/// Stops and starts the service, while its log and its resource are followed.
async fn stop_and_start(node: &TestNode) -> Result<()> {
    let osctl = node.osctl();
    shown(node, "ready").await?;
    let mut log = Follow::start(node, &["logs", SERVICE, "-f"])?;
    let mut watch = Follow::start(node, &["get", "services", SERVICE, "-w"])?;
    log.until(&["chronyd version"]).await.context("the log so far")?;
    watch.until(&[SERVICE, "ready"]).await.context("the resource as it is")?;

    osctl.ok(&["services", "stop", SERVICE]).await?;
    shown(node, "stopped").await?;
    log.until(&["chronyd exiting"]).await.context("the log of the end")?;
    watch.until(&["updated", SERVICE, "stopped"]).await.context("the stopped resource")?;
    tails(node).await?;

    osctl.ok(&["services", "start", SERVICE]).await?;
    shown(node, "ready").await?;
    log.until(&["chronyd version"]).await.context("the log of the new start")?;
    watch.until(&["updated", SERVICE, "ready"]).await.context("the started resource")
}

/// The log of a service that does not run stays as it is.
async fn tails(node: &TestNode) -> Result<()> {
    let whole = node.osctl().ok(&["logs", SERVICE]).await?;
    let lines: Vec<_> = whole.lines().collect();
    ensure!(lines.len() > 2, "the log is too short for this test: {whole}");
    for (count, first) in [("0", lines.len()), ("2", lines.len() - 2), ("1000", 0)] {
        let tail = node.osctl().ok(&["logs", SERVICE, "--tail", count]).await?;
        ensure!(tail.lines().eq(lines[first..].iter().copied()), "--tail {count} of {whole} is {tail}");
    }
    Ok(())
}

fn json_values(text: &str) -> Result<Vec<Value>> {
    let values = serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>();
    values.with_context(|| format!("not JSON: {text}"))
}

/// The events tell who asked for what, and what came of it, in this order.
async fn events(node: &TestNode) -> Result<()> {
    let events = json_values(&node.osctl().ok(&["events", "-o", "json"]).await?)?;
    let of_service: Vec<_> = events.iter().filter(|event| event["source"] == SERVICE).collect();
    let wanted = [
        ("api.call", "asked: stop"),
        ("service.stopped", ""),
        ("api.call", "asked: start"),
        ("service.ready", ""),
    ];
    let mut rest = of_service.iter();
    for (kind, message) in wanted {
        let is = |event: &&&Value| {
            event["kind"] == kind && event["message"].as_str().is_some_and(|text| text.contains(message))
        };
        ensure!(rest.find(is).is_some(), "no {kind} {message:?} in its place: {of_service:#?}");
    }
    let last = json_values(&node.osctl().ok(&["events", "--tail", "2", "-o", "json"]).await?)?;
    ensure!(last.len() == 2, "the last two events are {last:#?}");
    Ok(())
}

async fn images(node: &TestNode, lab: &Lab) -> Result<()> {
    let own = |text: &str| ["/pause:", "/coredns:"].iter().all(|name| text.contains(name));
    let before = node.osctl().until(&["images", "list"], lab.timeouts().api(), own).await?;
    ensure!(!before.contains("workload"), "nobody imported it yet: {before}");
    node.import_workload(&lab.workload_archive()).await?;
    let after = node.osctl().ok(&["images", "list"]).await?;
    ensure!(own(&after) && after.contains("corten.dev/workload:latest"), "{after}");
    Ok(())
}

/// One node at two addresses is two nodes to `osctl`.
async fn several_addresses(node: &TestNode) -> Result<()> {
    let first = node.address()?;
    let second = first.replace("127.0.0.1", "localhost");
    let version = node.version().await?;
    let ask = ["-n", &first, "-n", &second, "version", "-o"];
    let answers = json_values(&node.osctl().ok(&[&ask[..], &["json"]].concat()).await?)?;
    let said = |node: &str| answers.iter().any(|one| one["node"] == node && one["version"] == *version);
    ensure!(answers.len() == 2 && said(&first) && said(&second), "{answers:#?}");

    let yaml = node.osctl().ok(&[&ask[..], &["yaml"]].concat()).await?;
    let documents: Vec<_> = yaml.split("---\n").collect();
    let has = |text: &str| documents.iter().filter(|document| document.contains(text)).count();
    ensure!(documents.len() == 2 && has(&first) == 1 && has(&second) == 1, "{yaml}");
    // Quoted or not.
    ensure!(has("\nversion: ") == 2 && has(&version) == 2, "{yaml}");

    let rows = node.osctl().ok(&["-n", &format!("{first},{second}"), "services"]).await?;
    let of = |node: &str| rows.lines().filter(|row| row.starts_with(node)).count();
    ensure!(rows.starts_with("NODE") && of(&first) > 0 && of(&first) == of(&second), "{rows}");
    Ok(())
}

/// Tools that know nothing of Corten ask the node for its services.
async fn reflected(node: &TestNode) -> Result<()> {
    use reflection::server_reflection_client::ServerReflectionClient;
    use reflection::server_reflection_request::MessageRequest;
    use reflection::server_reflection_response::MessageResponse;
    let question = reflection::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(node.client().await?.channel());
    let answers = client.server_reflection_info(tokio_stream::iter([question])).await?;
    let answer = answers.into_inner().message().await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { bail!("{answer:?}") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for path in corten_api::access::table().keys() {
        let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        ensure!(names.contains(&service), "{service} is not in {names:?}");
    }
    Ok(())
}

#[test]
fn an_operator_stops_and_starts_a_service_and_sees_it_everywhere_and_asks_for_more() {
    vm_test(async |lab| {
        let node = lab.fresh_node().await?;
        stop_and_start(&node).await?;
        events(&node).await.context("events")?;
        images(&node, lab).await.context("images")?;
        let kinds = node.osctl().ok(&["get"]).await?;
        ensure!(["LinkStatus", "MachineConfig"].iter().all(|kind| kinds.contains(kind)), "{kinds}");
        several_addresses(&node).await.context("one node at two addresses")?;
        reflected(&node).await.context("reflection")
    });
}

/// `osctl` of an operator who keeps everything in the test's folder.
fn osctl(lab: &Lab) -> Tool {
    let environment = vec![
        ("CORTEN_CONFIG".to_owned(), lab.dir().join("contexts.yaml").into_string()),
        ("CORTEN_STATE".to_owned(), lab.dir().to_string()),
    ];
    Tool {
        program: lab.image().dir().join("bin/osctl"),
        environment,
        patience: lab.timeouts().api() * 3,
        restarts: std::sync::Arc::default(),
    }
}

fn contexts(lab: &Lab) -> Result<Contexts> {
    Ok(Contexts::load(lab.dir().join("contexts.yaml").as_std_path())?)
}

/// The same secrets make the same CA and configs each time, and others make others.
async fn generated(osctl: &Tool, lab: &Lab) -> Result<()> {
    let folder = |name: &str| lab.dir().join(name);
    let secrets = folder("secrets.yaml");
    osctl.ok(&["gen", "secrets", secrets.as_str()]).await?;
    let make = ["gen", "config", "paper", "https://10.0.0.1:6443", "--folder"];
    for name in ["first", "second"] {
        let with = [folder(name).as_str(), "--secrets", secrets.as_str()].map(str::to_owned);
        let with: Vec<_> = with.iter().map(String::as_str).collect();
        osctl.ok(&[&make[..], &with].concat()).await?;
    }
    osctl.ok(&[&make[..], &[folder("third").as_str()]].concat()).await?;

    let contexts = contexts(lab)?;
    let ca = |name: &str| contexts.get(Some(name)).map(|(_, context)| context.ca_pem());
    let (first, second, third) = (ca("paper")??, ca("paper-2")??, ca("paper-3")??);
    ensure!(first == second, "the same secrets made two CAs");
    ensure!(first != third, "other secrets made the same CA");
    for role in ["controlplane.yaml", "worker.yaml"] {
        let text = |name: &str| std::fs::read_to_string(folder(name).join(role));
        ensure!(text("first")? == text("second")?, "{role} differs with the same secrets");
        ensure!(text("first")? != text("third")?, "{role} is the same with other secrets");
        osctl.ok(&["validate", folder("first").join(role).as_str()]).await?;
    }
    Ok(())
}

/// Processes whose command line has this folder in it.
fn processes_of(folder: &Utf8Path) -> Result<Vec<String>> {
    let lines = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    Ok(lines.filter(|line| line.contains(folder.as_str())).collect())
}

/// Wants that `osctl` shows this cluster as it is, and no other.
async fn shown_cluster(osctl: &Tool, cluster: &Cluster) -> Result<()> {
    let shown: Value = serde_json::from_str(&osctl.ok(&["cluster", "show", "-o", "json"]).await?)?;
    let node = cluster.control_plane().context("a cluster has a node")?;
    ensure!(shown.as_array().is_some_and(|all| all.len() == 1), "{shown:#}");
    let port = |guest| node.spec().host_port(guest).unwrap_or_default();
    let wanted: [(&str, Value); 7] = [
        ("name", "made".into()),
        ("running", true.into()),
        ("folder", cluster.dir().as_str().into()),
        ("api", format!("127.0.0.1:{}", port(ports::API)).into()),
        ("kubernetes", format!("https://127.0.0.1:{}", port(ports::KUBE_APISERVER)).into()),
        ("nodes", vec!["made-1"].into()),
        ("memoryBytes", (2_u64 << 30).into()),
    ];
    for (key, value) in wanted {
        ensure!(shown[0][key] == value, "{key} is not {value}: {shown:#}");
    }
    let disk = &shown[0]["disks"][0];
    ensure!(disk["bus"] == "nvme" && disk["sizeBytes"] == 12_u64 << 30, "{shown:#}");
    Ok(())
}

/// Who has the secrets of a cluster can make himself its administrator anew, and its config.
async fn regained(osctl: &Tool, cluster: &Cluster) -> Result<()> {
    let (folder, contexts) = (cluster.dir().join("again"), cluster.dir().join("again.yaml"));
    let with = ["--config", contexts.as_str()];
    let port = cluster.control_plane().and_then(|node| node.spec().host_port(ports::KUBE_APISERVER));
    let endpoint = format!("https://localhost:{}", port.context("no port")?);
    let secrets = cluster.dir().join("secrets.json");
    let make = ["gen", "config", "again", &endpoint, "--secrets", secrets.as_str(), "--single-node"];
    let api = cluster.api().context("no port")?;
    let to = ["--folder", folder.as_str(), "--api", &api, "--san", "127.0.0.1,localhost"];
    osctl.ok(&[&make[..], &to, &with].concat()).await?;
    let status = osctl.ok(&[&["status"][..], &with].concat()).await?;
    ensure!(status.contains("made-1"), "{status}");
    let config = folder.join("controlplane.yaml");
    osctl.ok(&[&["apply-config", "--dry-run", "-f", config.as_str()][..], &with].concat()).await.map(drop)
}

#[test]
fn osctl_makes_configs_and_a_cluster_of_this_computer_and_removes_it_without_a_trace() {
    vm_test(async |lab| {
        let osctl = osctl(lab);
        generated(&osctl, lab).await.context("configs from secrets")?;

        let image = ["--image", lab.image().dir().as_str()];
        let machine = ["--memory", "2048", "--disk-size", "12", "--disk-bus", "nvme"];
        osctl.ok(&[&["cluster", "create", "made", "--no-bootstrap"][..], &image, &machine].concat()).await?;
        let cluster = Cluster::open(&lab.dir().join("clusters/made"))?;
        let node = cluster.control_plane().context("a cluster has a node")?;
        ensure!(node.spec().boot == Boot::Firmware, "{:?}", node.spec());
        ensure!(processes_of(cluster.dir())?.len() == 1, "{:#?}", processes_of(cluster.dir())?);
        shown_cluster(&osctl, &cluster).await?;
        // Its context is the current one.
        let status = osctl.ok(&["status"]).await?;
        ensure!(status.contains("made-1"), "{status}");
        regained(&osctl, &cluster).await.context("with the cluster's secrets")?;
        let trouble = node.console().trouble(Mark::START);
        ensure!(trouble.is_empty(), "the console shows trouble: {trouble:#?}");

        osctl.ok(&["cluster", "destroy", "made"]).await?;
        ensure!(processes_of(cluster.dir())?.is_empty(), "{:#?}", processes_of(cluster.dir())?);
        ensure!(!cluster.dir().exists(), "{} is still there", cluster.dir());
        ensure!(osctl.ok(&["cluster", "show", "-o", "json"]).await?.trim() == "[]");
        let left: Vec<_> = contexts(lab)?.contexts.into_keys().collect();
        ensure!(left == ["paper", "paper-2", "paper-3"], "the contexts are {left:?}");
        osctl.run(&["cluster", "destroy", "made"]).await?.fails(1, &["made"])
    });
}
