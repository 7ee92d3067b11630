//! A machine without a config, and how it gets one.

use anyhow::{Context as _, Result, ensure};
use corten_lab::Mark;
use corten_vm_tests::{Lab, TestNode, vm_test};

async fn in_maintenance(lab: &Lab) -> Result<TestNode> {
    let mut options = lab.options("blank");
    options.maintenance = true;
    lab.node(&options).await
}

/// The fingerprint that the console shows.
async fn fingerprint(node: &TestNode) -> Result<String> {
    let patience = node.machine().timeouts().seconds(10);
    let line = node.machine().wait_console("fingerprint", Mark::START, patience).await?;
    let hexadecimal =
        |word: &&str| word.len() >= 64 && word.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
    let word = line.split_whitespace().find(hexadecimal);
    Ok(word.with_context(|| format!("no fingerprint in {line:?}"))?.to_owned())
}

/// What tells a person whether the machine has all it needs.
async fn shows_what_it_is_made_of(node: &TestNode, fingerprint: &str) -> Result<()> {
    let address = node.address()?;
    let get = |kind| ["get", kind, "--insecure", "--fingerprint", fingerprint, "-n", &address];
    let patience = node.machine().timeouts().seconds(10);
    for (kind, wanted) in
        [("hardware", "QEMU"), ("devices", "virtio-pci"), ("links", "eth0"), ("disks", "vda")]
    {
        node.osctl().until(&get(kind), patience, |text| text.contains(wanted)).await.context(kind)?;
    }
    node.osctl().run(&get("machineconfig")).await?.fails(9, &["no kind", "hint:"])
}

#[test]
fn a_machine_takes_its_config_only_from_who_knows_its_fingerprint_and_only_once() {
    vm_test(async |lab| {
        let node = in_maintenance(lab).await?;
        let (address, config) = (node.address()?, node.cluster().config_file());
        let shown = fingerprint(&node).await?;
        let other: String = shown.chars().map(|c| if c == '0' { '1' } else { '0' }).collect();
        let apply = async |fingerprint: &str, extra: &[&str]| {
            let mut arguments = vec!["apply-config", "--insecure", "--fingerprint", fingerprint];
            arguments.extend(["-n", &address, "-f", config.as_str()]);
            arguments.extend(extra);
            node.osctl().run(&arguments).await
        };

        shows_what_it_is_made_of(&node, &shown).await?;
        node.osctl().run(&["services"]).await?.fails(8, &["maintenance", "hint:", "apply-config"])?;
        apply(&other, &[]).await?.fails(4, &["another fingerprint", "hint:"])?;
        apply(&shown, &["--dry-run"]).await?.ok()?;
        apply(&shown, &[]).await?.ok()?;

        node.osctl().until(&["status"], lab.timeouts().api(), |text| text.contains("blank")).await?;
        let services = node.services().await?;
        ensure!(services.iter().any(|service| service.id == "containerd"), "{services:?}");

        // Whoever has no certificate is not heard any more, whatever he knows.
        let again = apply(&shown, &[]).await?;
        ensure!(again.code != Some(0), "a config was taken twice: {again}");
        node.osctl()
            .run(&["-n", &address, "apply-config", "--insecure", "-f", config.as_str()])
            .await?
            .fails(4, &[])?;
        Ok(())
    });
}

/// Documents that are added to a good config, with a mark where the mistake is, and what is said about it.
const MISTAKES: [(&str, &str); 6] = [
    ("kind: Time\n«server: [a]\n", "did you mean servers?"),
    ("kind: «Tmie\n", "did you mean Time?"),
    ("kind: Link\nname: eth0\nmtu: «big\n", "`mtu` is a whole number"),
    ("kind: Link\nname: eth0\nmtu: «70000\n", "`mtu` is out of range"),
    ("kind: Time\nenabled: true\n«enabled: true\n", "`enabled` is already set"),
    ("kind: Link\nname: eth0\nup: «false\ndhcp4: true\n", "has addresses and stays down"),
];

/// The text without its mark, and the line and the column of what was behind it.
fn unmark(text: &str) -> (String, String) {
    let before = text.split('«').next().unwrap_or_default();
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (text.replace('«', ""), format!("{}:{column}", before.matches('\n').count() + 1))
}

/// Neither the node nor `osctl` by itself takes the config, and both say so in these words.
async fn is_refused(lab: &Lab, node: &TestNode, config: &str, words: &[&str]) -> Result<()> {
    let file = lab.dir().join("bad.yaml");
    std::fs::write(&file, config)?;
    for command in ["apply-config", "validate"] {
        node.osctl().run(&[command, "-f", file.as_str()]).await?.fails(6, words)?;
    }
    Ok(())
}

#[test]
fn a_config_with_a_mistake_is_refused_with_its_place_and_changes_nothing() {
    vm_test(async |lab| {
        let node = lab.fresh_node().await?;
        let good = std::fs::read_to_string(node.cluster().config_file())?;
        let before = node.status().await?.config_generation;
        for (mistake, word) in MISTAKES {
            let (text, place) = unmark(&format!("{good}---\napiVersion: corten.dev/v1\n{mistake}"));
            let words = [word, &format!("bad.yaml:{place}")];
            is_refused(lab, &node, &text, &words).await.context(mistake)?;
        }
        // What is not there has no place.
        let first = good.split("\n---\n").next().unwrap_or_default();
        is_refused(lab, &node, first, &["bad.yaml\n", "the document Cluster is missing"]).await?;
        ensure!(node.status().await?.config_generation == before, "a refused config made a generation");
        Ok(())
    });
}
