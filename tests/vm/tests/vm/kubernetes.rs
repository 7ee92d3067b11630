//! What a user wants: pods.

use anyhow::{Context as _, Result, ensure};
use corten_vm_tests::{TestNode, vm_test};
use serde_json::json;
use std::process::Stdio;

use crate::versions::patient;

async fn web(node: &TestNode) -> Result<()> {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    node.pod("web", &["serve"]).await?;
    node.apply(&service).await
}

#[test]
fn a_pod_resolves_and_reaches_a_service_by_name_and_kubectl_reaches_the_pod() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        web(&node).await?;
        let client = node.pod("client", &["sleep"]).await?;

        // A Service that was just made has its name and its rules some seconds later.
        let soon = lab.timeouts().seconds(20);
        let address = client.exec_until(&["resolve", "web"], soon).await?;
        ensure!(in_service_range(&address), "the Service's address is {address:?}");
        let answer = client.exec_until(&["wget", "http://web/"], soon).await?;
        ensure!(answer == "workload on web\n", "{answer:?}");
        let answer =
            client.exec(&["wget", "http://web.default.svc.cluster.local/echo?text=long"]).await?.ok()?;
        ensure!(answer == "long\n", "{answer:?}");

        let logs = node.kubectl().ok(&["logs", "web"]).await?;
        ensure!(logs.contains("GET /echo?text=long"), "{logs}");
        forward(&node).await.context("port-forward")?;
        versions(&node).await.context("versions")?;
        stats(&node).await.context("stats of the kubelet")
    });
}

/// Whether an address lies in 10.96.0.0/12.
fn in_service_range(address: &str) -> bool {
    let octets = address.trim().parse::<std::net::Ipv4Addr>().map(|address| address.octets());
    octets.is_ok_and(|[first, second, ..]| first == 10 && (96..112).contains(&second))
}

async fn forward(node: &TestNode) -> Result<()> {
    let port = corten_lab::free_ports(1)?[0];
    let kubectl = node.kubectl();
    let mut forward = tokio::process::Command::new(&kubectl.program)
        .envs(kubectl.environment.iter().cloned())
        .args(["port-forward", "pod/web", &format!("{port}:8080")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let deadline = tokio::time::Instant::now() + node.machine().timeouts().seconds(10);
    let answer = loop {
        match get(port).await {
            Ok(answer) => break answer,
            Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
        }
    };
    forward.kill().await?;
    ensure!(answer.ends_with("forwarded\n"), "{answer:?}");
    Ok(())
}

async fn get(port: u16) -> Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /echo?text=forwarded HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(!answer.is_empty(), "the connection was closed");
    Ok(answer)
}

/// The node says which Kubernetes it holds; `kubectl` and the API server are of that version.
async fn versions(node: &TestNode) -> Result<()> {
    let request = corten_api::v1::VersionRequest {};
    let told = node.client().await?.machine().version(request).await?.into_inner().kubernetes;
    let text = node.kubectl().ok(&["version", "-o", "json"]).await?;
    let seen: serde_json::Value = serde_json::from_str(&text)?;
    for side in ["clientVersion", "serverVersion"] {
        let version = &seen[side]["gitVersion"];
        ensure!(!told.is_empty() && *version == *told, "{side} is {version}, the node says {told:?}");
    }
    Ok(())
}

async fn stats(node: &TestNode) -> Result<()> {
    let path = format!("/api/v1/nodes/{}/proxy/stats/summary", node.name());
    let wanted = |text: &str| {
        let summary: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let pods = summary["pods"].as_array().cloned().unwrap_or_default();
        pods.iter()
            .any(|pod| pod["podRef"]["name"] == "web" && pod["memory"]["workingSetBytes"].as_u64() > Some(0))
    };
    let patience = node.machine().timeouts().seconds(15);
    node.kubectl().until(&["get", "--raw", &path], patience, wanted).await.map(drop)
}

#[test]
fn after_a_reboot_everything_returns_by_itself() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "web" },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{
                        "name": "web",
                        "image": "corten.dev/workload:latest",
                        "imagePullPolicy": "Never",
                        "args": ["serve"],
                    }] },
                },
            },
        });
        node.apply(&deployment).await?;
        let patience = format!("--timeout={}s", lab.timeouts().seconds(20).as_secs());
        let rollout = ["rollout", "status", "deployment/web", &patience];
        let kubectl = || corten_vm_tests::Tool { patience: lab.timeouts().seconds(30), ..node.kubectl() };
        kubectl().ok(&rollout).await?;
        let before = node.status().await?;

        patient(&node).ok(&["reboot", "--wait"]).await?;
        ensure!(node.status().await?.boot_id != before.boot_id, "the node did not reboot");
        node.wait_ready().await?;
        node.wait_dns().await?;
        kubectl().ok(&rollout).await?;
        let pod = ["get", "pod", "-l", "app=web", "--field-selector=status.phase=Running", "-o", "name"];
        kubectl().until(&pod, lab.timeouts().seconds(20), |text| !text.is_empty()).await?;
        let client = node.pod("client", &["sleep"]).await?;
        // The DNS may be one that just starts: what Kubernetes says of pods is older than the kubelet's first look.
        let address = client.exec_until(&["resolve", "kubernetes"], lab.timeouts().seconds(20)).await?;
        ensure!(address == "10.96.0.1\n", "{address:?}");
        Ok(())
    });
}
