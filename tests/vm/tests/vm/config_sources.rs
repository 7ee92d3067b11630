//! A config that comes by the kernel command line, as text or as a URL; and documents of a machine that is set up by
//! hand.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use corten_api::v1;
use corten_config::GenOptions;
use corten_vm_tests::{Lab, TestNode, vm_test};
use serde_json::{Value, json};

use crate::web::Web;

/// The kernel cuts off the rest, without a word.
const COMMAND_LINE_MAX: usize = 2047;

/// The address is the one that ports are forwarded to; what else DHCP would give is another value here.
const BY_HAND: &str = "---
apiVersion: corten.dev/v1
kind: Hostname
hostname: by-hand
---
apiVersion: corten.dev/v1
kind: Link
name: eth0
addresses: [10.0.2.15/24]
routes: [{to: 0.0.0.0/0, via: 10.0.2.2, metric: 7}]
mtu: 1400
---
apiVersion: corten.dev/v1
kind: Resolver
nameservers: [192.0.2.53]
searchDomains: [lab.example]
---
apiVersion: corten.dev/v1
kind: Time
servers: [192.0.2.123]
";

const NO_TIME: &str = "---\napiVersion: corten.dev/v1\nkind: Time\nenabled: false\n";

/// A config that fits on a command line: one authority is all of them, since four do not fit.
fn small_config(node: &TestNode) -> Result<String> {
    let mut secrets = node.cluster().secrets()?;
    secrets.kubernetes_ca = secrets.os_ca.clone();
    secrets.aggregator_ca = secrets.os_ca.clone();
    secrets.etcd_ca = secrets.os_ca.clone();
    secrets.service_account_key = secrets.os_ca.key_pem.clone();
    let options =
        GenOptions::new("inline", "https://localhost:6443".parse().map_err(anyhow::Error::msg)?, secrets);
    let config = corten_config::generate(&options)?.controlplane_yaml + BY_HAND;
    Ok(config.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect())
}

/// A machine without a hardware watchdog that gets its config inline.
async fn set_up_by_hand(lab: &Lab) -> Result<TestNode> {
    let mut options = lab.options("inline");
    options.maintenance = true;
    let node = lab.prepare(&options).await?;
    let packed = zstd::bulk::compress(small_config(&node)?.as_bytes(), 19)?;
    let inline = format!("corten.config.inline={}", BASE64_STANDARD.encode(packed));
    let words = [lab.image().cmdline(), "mitigations=off", &inline].join(" ");
    ensure!(words.len() <= COMMAND_LINE_MAX, "the kernel does not take {} bytes", words.len());
    node.machine().change(|spec| {
        spec.kernel_arguments = vec![inline];
        spec.watchdog = false;
    })?;
    node.machine().start().await?;
    node.now_configured();
    node.wait_api().await?;
    Ok(node)
}

/// Waits until a resource has these values.
async fn shows(node: &TestNode, kind: &str, id: &str, wanted: &Value) -> Result<()> {
    let wanted = wanted.as_object().context("the values are named")?;
    let fits = |text: &str| {
        let found: Value = serde_json::from_str(text).unwrap_or_default();
        wanted.iter().all(|(name, value)| found["spec"][name] == *value)
    };
    let patience = node.machine().timeouts().seconds(10);
    let seen = node.osctl().until(&["get", kind, id, "-o", "json"], patience, fits).await;
    seen.map(drop).with_context(|| format!("{kind} {id} is not {wanted:?}"))
}

async fn resources(node: &TestNode, kind: &str) -> Result<Vec<v1::Resource>> {
    let request = v1::ListResourcesRequest { kind: kind.to_owned() };
    Ok(node.client().await?.resources().list(request).await?.into_inner().resources)
}

async fn has_its_network(node: &TestNode) -> Result<()> {
    shows(node, "links", "eth0", &json!({ "up": true, "mtu": 1400 })).await?;
    shows(node, "addresses", "eth0/10.0.2.15/24", &json!({ "managed": true, "usable": true })).await?;
    let gateway = json!({ "gateway": "10.0.2.2", "managed": true });
    shows(node, "routes", "0.0.0.0/0/eth0/7", &gateway).await?;
    let names = json!({ "nameservers": ["192.0.2.53"], "search": ["lab.example"] });
    shows(node, "resolver", "resolver", &names).await?;

    let leases = resources(node, "leases").await?;
    ensure!(leases.is_empty(), "a node with a fixed address asked for another one: {leases:?}");
    let routes = resources(node, "routes").await?;
    let default = routes.iter().filter(|route| route.spec_json.contains("\"0.0.0.0/0\"")).count();
    ensure!(default == 1, "there is not one default route: {routes:?}");
    Ok(())
}

async fn asks_its_time_server(node: &TestNode) -> Result<()> {
    shows(node, "time", "time", &json!({ "enabled": true, "servers": ["192.0.2.123"] })).await?;
    // It waits for EPHEMERAL, and the API does not.
    let patience = node.machine().timeouts().seconds(10);
    crate::services::back(node, "chronyd", 0, patience).await.map(drop)
}

async fn its_kernel_watches_and_tells_no_secret(node: &TestNode) -> Result<()> {
    let log = node.osctl().ok(&["dmesg"]).await?;
    let said: Vec<&str> = log.lines().filter(|line| line.contains("softdog")).collect();
    ensure!(said.iter().any(|line| line.contains("soft_panic=1")), "the kernel's log has only {said:?}");
    ensure!(!log.contains("i6300ESB"), "the machine has a hardware watchdog: {log}");
    ensure!(
        log.contains("corten.config.inline=(hidden)"),
        "the config's keys are in the kernel's log: {log}"
    );
    Ok(())
}

#[test]
fn a_node_takes_its_config_from_the_command_line_and_is_set_up_as_it_says() {
    vm_test(async |lab| {
        let node = set_up_by_hand(lab).await?;
        let status = node.status().await?;
        ensure!(status.hostname == "by-hand" && status.cluster == "inline", "{status:?}");
        shows(&node, "configsources", "cmdline", &json!({ "used": true })).await?;
        has_its_network(&node).await?;
        asks_its_time_server(&node).await?;
        its_kernel_watches_and_tells_no_secret(&node).await
    });
}

#[test]
fn a_node_fetches_its_config_from_the_url_on_its_command_line() {
    vm_test(async |lab| {
        let web = Web::start().await?;
        let mut options = lab.options("fetched");
        options.maintenance = true;
        options.outgoing = true;
        options.extra_config = NO_TIME.to_owned();
        let url = format!("http://{}/config.yaml", web.authority());
        options.extra_kernel_arguments = vec![format!("corten.config.url={url}")];
        let node = lab.prepare(&options).await?;
        let config = std::fs::read(node.cluster().config_file())?;
        web.put("/config.yaml", "application/yaml", Arc::new(config));

        node.machine().start().await?;
        node.now_configured();
        node.wait_api().await?;
        let asked = web.asked("/config.yaml");
        ensure!(asked == [0], "the config was asked for from {asked:?}");
        let status = node.status().await?;
        ensure!(status.hostname == node.name() && status.cluster == "fetched", "{status:?}");
        shows(&node, "configsources", "url", &json!({ "used": true })).await?;
        shows(&node, "time", "time", &json!({ "enabled": false })).await
    });
}

/// Gives a Ready node a mirror of a registry that does not exist.
async fn mirrored(lab: &Lab, web: &Web) -> Result<TestNode> {
    let node = lab.ready_node_reaching_out().await?;
    let registry = format!(
        "---\napiVersion: corten.dev/v1\nkind: Registry\nhost: registry.example\nmirrors: [{{endpoint: http://{}}}]\n",
        web.authority()
    );
    let config = std::fs::read_to_string(node.cluster().config_file())?;
    let file = lab.dir().join("mirrored.yaml");
    std::fs::write(&file, format!("{config}{NO_TIME}{registry}"))?;
    node.osctl().ok(&["apply-config", "-f", file.as_str()]).await?;
    Ok(node)
}

#[test]
fn an_image_is_pulled_from_the_mirror_of_its_registry() {
    vm_test(async |lab| {
        let web = Web::start().await?;
        let manifest = web.put_image("workload", "1", &lab.workload_archive())?;
        let node = mirrored(lab, &web).await?;
        let mut pod = corten_vm_tests::manifest("pulled", &["sleep"]);
        let container = &mut pod["spec"]["containers"][0];
        container["image"] = "registry.example/workload:1".into();
        container["imagePullPolicy"] = "Always".into();
        node.apply(&pod).await?;
        let phase = ["get", "pod", "pulled", "-o", "jsonpath={.status.phase}"];
        node.kubectl().until(&phase, lab.timeouts().seconds(20), |phase| phase == "Running").await?;
        ensure!(!web.asked(&manifest).is_empty(), "the mirror was not asked for {manifest}");
        Ok(())
    });
}
