//! What must not be readable, and what must not be done twice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use corten_constants::ports;
use corten_vm_tests::{Pod, TestNode, vm_test};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;

#[test]
fn secrets_are_encrypted_in_etcds_files() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let plain = "--from-literal=key=plain-as-day-4711";
        node.kubectl().ok(&["create", "secret", "generic", "hidden", plain]).await?;
        node.kubectl().ok(&["create", "configmap", "open", "--from-literal=key=open-as-day-4711"]).await?;
        let pod = node.privileged_pod("reader").await?;
        // Before the searches: what they look for is in the log of those who asked for them.
        is_audited(&pod, "hidden", &["plain-as-day-4711", "cGxhaW4tYXMtZGF5LTQ3MTE="]).await?;
        // The ConfigMap shows that the search finds what is not encrypted.
        pod.exec(&["grep", "/host/var/lib/etcd", "open-as-day-4711"]).await?.ok()?;
        let found = pod.exec(&["grep", "/host/var/lib/etcd", "plain-as-day-4711"]).await?;
        // An API server that cannot be reached and a file that is gone end kubectl with the code of a search without result.
        let said = |text| found.stderr.contains(text);
        let searched = said("command terminated with exit code 1") && !said("workload:");
        ensure!(searched && found.stdout.is_empty(), "the secret is readable, or nobody looked: {found}");
        let value = node.kubectl().ok(&["get", "secret", "hidden", "-o", "jsonpath={.data.key}"]).await?;
        ensure!(value == "cGxhaW4tYXMtZGF5LTQ3MTE=", "{value}");
        Ok(())
    });
}

/// The audit log tells who made the Secret, and none of what is in it.
async fn is_audited(pod: &Pod, name: &str, values: &[&str]) -> Result<()> {
    let log = pod.exec(&["cat", "/host/var/log/kube-apiserver/audit.log"]).await?.ok()?;
    let event = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|event| {
        let object = &event["objectRef"];
        event["verb"] == "create" && object["resource"] == "secrets" && object["name"] == name
    });
    let event = event.with_context(|| format!("no creation among the {} lines", log.lines().count()))?;
    let (user, code) = (&event["user"]["username"], &event["responseStatus"]["code"]);
    ensure!(user.as_str().is_some_and(|user| !user.is_empty()) && code == 201, "{event}");
    ensure!(!values.iter().any(|value| log.contains(value)), "the audit log has the value");
    Ok(())
}

#[test]
fn without_a_certificate_kubernetes_answers_health_and_nothing_else() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let deadline = Instant::now() + lab.timeouts().seconds(20);
        while get(&node, "/readyz").await.ok() != Some((200, "ok".to_owned())) {
            ensure!(
                Instant::now() < deadline,
                "the API server is not ready: {:?}",
                get(&node, "/readyz").await
            );
            sleep(Duration::from_millis(500)).await;
        }
        for path in ["/api", "/version", "/apis", "/metrics", "/api/v1/namespaces/kube-system/secrets"] {
            let (status, body) = get(&node, path).await?;
            ensure!(status == 401, "{path} answers {status} to anybody: {body}");
        }
        Ok(())
    });
}

/// Asks the API server as nobody, and checks its certificate; `kubectl` would ask for a user name.
async fn get(node: &TestNode, path: &str) -> Result<(u16, String)> {
    let mut roots = RootCertStore::empty();
    let ca = node.cluster().secrets()?.kubernetes_ca;
    roots.add(CertificateDer::from_pem_slice(ca.cert_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();

    let port = node.machine().spec().host_port(ports::KUBE_APISERVER).context("no port")?;
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect("localhost".try_into()?, stream).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Go's server closes without TLS' farewell, which is an error only after the whole answer.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

#[test]
fn a_privileged_pod_is_refused_in_an_ordinary_namespace() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let mut pod = corten_vm_tests::manifest("greedy", &["sleep"]);
        pod["spec"]["hostPID"] = true.into();
        let refused = node.kubectl().run_with(&["apply", "-f", "-"], &pod.to_string()).await?;
        refused.fails(1, &["violates podsecurity"])
    });
}

#[test]
fn a_second_bootstrap_is_refused_and_changes_nothing() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        node.osctl().run(&["bootstrap"]).await?.fails(8, &["already"])?;
        let wait = format!("--wait={}s", lab.timeouts().seconds(20).as_secs());
        node.osctl().ok(&["health", &wait]).await.map(drop)
    });
}
