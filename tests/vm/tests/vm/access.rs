//! Who may talk to a node. The walk over every method and role runs natively, in machined's own tests; here the
//! shipped node is asked, through `osctl`.

use anyhow::{Context as _, Result};
use corten_client::{Context, Contexts};
use corten_pki::{Ca, KeyType, Leaf, LeafRequest, Usage};
use corten_vm_tests::{TestNode, Tool, vm_test};
use std::time::{Duration, SystemTime};

fn request(role: &str) -> LeafRequest {
    LeafRequest {
        common_name: "somebody".to_owned(),
        organizations: vec![role.to_owned()],
        dns_names: Vec::new(),
        ips: Vec::new(),
        usage: Usage::Client,
        lifetime: Duration::from_secs(3600),
        key: KeyType::Ed25519,
    }
}

/// `osctl` with another certificate or another CA.
fn osctl(node: &TestNode, ca: &str, leaf: &Leaf) -> Result<Tool> {
    let context = Context::new(vec![node.address()?], ca, &leaf.cert_pem, leaf.key_pem.expose());
    let mut contexts = Contexts::default();
    contexts.current = contexts.add("other", context);
    let path = node.cluster().dir().join("other.yaml");
    contexts.save(path.as_std_path())?;
    Ok(node.osctl_with(&path))
}

#[test]
fn a_client_gets_no_further_than_its_certificate_allows() {
    vm_test(async |lab| {
        let node = lab.fresh_node().await?;
        let ours = node.cluster().secrets()?.os_ca;
        let theirs = Ca::generate("corten", KeyType::Ed25519)?;
        let address = node.address()?;

        let none = node.osctl().run(&["-n", &address, "status", "--insecure"]).await?;
        none.fails(4, &["client certificate", "hint:"]).context("no certificate")?;

        let foreign = osctl(&node, &ours.cert_pem, &theirs.issue(&request("os:admin"))?)?;
        foreign
            .run(&["version"])
            .await?
            .fails(4, &["another ca", "hint:"])
            .context("certificate of another CA")?;

        let stranger = osctl(&node, &theirs.cert_pem, &theirs.issue(&request("os:admin"))?)?;
        stranger.run(&["version"]).await?.fails(4, &["another ca", "hint:"]).context("node of another CA")?;

        let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
        let expired = osctl(&node, &ours.cert_pem, &ours.issue_at(&request("os:admin"), long_ago)?)?;
        expired.run(&["version"]).await?.fails(4, &["expired", "hint:"]).context("expired certificate")?;

        let reader = osctl(&node, &ours.cert_pem, &ours.issue(&request("os:reader"))?)?;
        reader.ok(&["status"]).await?;
        reader.run(&["reboot"]).await?.fails(5, &["os:reader"]).context("a reader reboots")?;
        reader.run(&["bootstrap"]).await?.fails(5, &[]).context("a reader bootstraps")?;

        let nobody = osctl(&node, &ours.cert_pem, &ours.issue(&request("nobody"))?)?;
        nobody.run(&["services"]).await?.fails(5, &[]).context("no role at all")?;
        Ok(())
    });
}
