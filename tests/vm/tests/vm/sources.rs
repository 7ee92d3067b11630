//! Where a new version comes from: a web server, a registry, a file; and transfers that break.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use corten_api::v1;
use corten_vm_tests::{Lab, TestNode, vm_test_in_turn};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::versions::{bundle, further, patient};
use crate::web::Web;

/// Waits until more bytes than these are there; tells how many. It fails when the transfer ended before.
async fn wait_sent(node: &TestNode, more_than: u64) -> Result<u64> {
    // One connection: a handshake for each look would slow down what is looked at.
    let client = node.client().await?;
    let deadline = tokio::time::Instant::now() + node.machine().timeouts().seconds(60);
    loop {
        let status = client.updates().status(v1::UpdateStatusRequest {}).await?.into_inner();
        let pending = status.pending.unwrap_or_default();
        if pending.done_bytes > more_than {
            ensure!(pending.phase == "writing", "the transfer was over already: {pending:?}");
            return Ok(pending.done_bytes);
        }
        ensure!(tokio::time::Instant::now() < deadline, "not more than {more_than} bytes: {pending:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_staged(node: &TestNode, version: &str) -> Result<()> {
    let status = node.update_status().await?;
    let phase = status.pending.as_ref().map(|pending| pending.phase.as_str());
    ensure!(phase == Some("staged"), "{version} is not staged: {status:?}");
    let next = status.slots.iter().find(|slot| slot.next).context("a slot is the next to boot")?;
    ensure!(next.version == version && !next.running, "{version} is not the next to boot: {status:?}");
    Ok(())
}

/// The whole is fetched through one connection that breaks and another one that goes on.
fn went_on(web: &Web, path: &str) -> Result<()> {
    let asked = web.asked(path);
    ensure!(matches!(asked.as_slice(), [0, from] if *from > 0), "{path} was asked for from {asked:?}");
    Ok(())
}

/// A node that may open connections. It has no reason to ask anybody for the time: what it sends stays on this machine.
async fn reaching_out(lab: &Lab) -> Result<TestNode> {
    let mut options = lab.options("fetch");
    options.outgoing = true;
    options.extra_config = "---\napiVersion: corten.dev/v1\nkind: Time\nenabled: false\n".to_owned();
    lab.node(&options).await
}

/// A web server whose certificate is made out to its address, by nobody whom anybody trusts. Nobody gets as far as to ask
/// it for something.
async fn untrusted() -> Result<String> {
    let made = corten_pki::maintenance_certificate(&[], &[corten_lab::HOST.parse()?])?;
    let certificate = CertificateDer::from_pem_slice(made.cert_pem.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(made.key_pem.expose().as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await?);
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    Ok(format!("https://{}:{port}/x.bundle", corten_lab::HOST))
}

#[test]
fn a_node_that_fetches_a_version_goes_on_where_the_server_broke_off() {
    vm_test_in_turn(1, async |lab| {
        let node = reaching_out(lab).await?;
        let next = further(lab, "next")?;
        let version = next.about().version;
        let content = Arc::new(std::fs::read(bundle(lab, "next", &next)?)?);
        let web = Web::start().await?;
        let upgrade =
            async |from: &[&str]| patient(&node).run(&[&["upgrade", "--no-reboot"], from].concat()).await;

        let missing = format!("http://{}/missing.bundle", web.authority());
        upgrade(&["--url", &missing]).await?.fails(1, &["update.source", &missing, "404", "hint:"])?;
        let image = format!("{}/corten:next", web.authority());
        let from_registry = ["--image", image.as_str(), "--insecure-source"];
        upgrade(&from_registry).await?.fails(1, &["update.source", &image, "hint:"])?;
        let nobody = format!("http://{}:{}/x", corten_lab::HOST, corten_lab::free_ports(1)?[0]);
        upgrade(&["--url", &nobody]).await?.fails(1, &["update.source", &nobody, "cause:"])?;
        let untrusted = untrusted().await?;
        let ended = upgrade(&["--url", &untrusted]).await?;
        ended.fails(1, &["update.source", &untrusted, "certificate", "hint:"])?;
        ensure!(node.update_status().await?.pending.is_none(), "something was written");
        let half = format!("http://{}/half.bundle", web.authority());
        web.put("/half.bundle", "application/octet-stream", Arc::new(content[..content.len() / 2].to_vec()));
        upgrade(&["--url", &half]).await?.fails(6, &["update.invalid", "is cut off", "hint:"])?;
        ensure!(node.update_status().await?.pending.is_none(), "half a bundle waits for its boot");

        let url = format!("http://{}/x.bundle", web.authority());
        web.put("/x.bundle", "application/octet-stream", Arc::clone(&content));
        web.break_once("/x.bundle");
        upgrade(&["--url", &url]).await?.ok()?;
        went_on(&web, "/x.bundle")?;
        is_staged(&node, &version).await?;

        let layer = web.put_artifact("corten", "next", content)?;
        web.break_once(&layer);
        upgrade(&from_registry).await?.ok()?;
        went_on(&web, &layer)?;
        is_staged(&node, &version).await
    });
}

#[test]
fn a_file_goes_on_where_its_sender_died_and_has_one_sender_at_a_time() {
    vm_test_in_turn(2, async |lab| {
        let node = lab.fresh_node().await?;
        let next = further(lab, "next")?;
        let path = bundle(lab, "next", &next)?;
        let upgrade = ["upgrade", "-f", path.as_str(), "--no-reboot"];

        let first = patient(&node).start(&upgrade)?;
        let some = std::fs::metadata(&path)?.len() / 10;
        wait_sent(&node, some).await?;
        first.kill().await?;
        // The node learns of it by the connection's end, and writes what came before that.
        tokio::time::sleep(lab.timeouts().seconds(1)).await;
        let kept = node.update_status().await?.pending.unwrap_or_default().done_bytes;

        let second = patient(&node).start(&upgrade)?;
        wait_sent(&node, kept).await?;
        let third = patient(&node).run(&upgrade).await?;
        let version = next.about().version;
        third.fails(8, &["update.running", &format!("an update to {version} is being written"), "hint:"])?;

        let second = second.end().await?;
        ensure!(second.stderr.contains("goes on at"), "it began anew: {second}");
        second.ok()?;
        is_staged(&node, &version).await
    });
}
