//! New versions: one that stays, every kind that does not, and bundles that are no updates.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use corten_bundle::SigningKey;
use corten_image::broken::{Broken, ROWS};
use corten_image::release::About;
use corten_image::variant::Variant;
use corten_lab::Mark;
use corten_vm_tests::{Lab, TestNode, rotating, vm_test, vm_test_in_turn};
use memchr::memmem;

use crate::versions::{CORRUPTED, bundle, flip_a_byte, further, key, patient};

async fn status(node: &TestNode) -> Result<serde_json::Value> {
    let text = node.osctl().ok(&["update", "status", "-o", "json"]).await?;
    Ok(serde_json::from_str(&text)?)
}

/// How many boots the version of a row has. They are counted where each of them is short.
fn tries(row: &Broken) -> usize {
    if row.name == "kernel-panic" { 3 } else { 1 }
}

/// Gives the versions to come so many boots.
async fn give_tries(lab: &Lab, node: &TestNode, tries: usize) -> Result<()> {
    change_policy(lab, node, "\ntries: 1\n", &format!("\ntries: {tries}\n")).await
}

async fn change_policy(lab: &Lab, node: &TestNode, from: &str, to: &str) -> Result<()> {
    let config = std::fs::read_to_string(node.cluster().config_file())?;
    ensure!(config.contains(from), "the config has another update policy: {config}");
    let file = lab.dir().join("policy.yaml");
    std::fs::write(&file, config.replace(from, to))?;
    node.osctl().ok(&["apply-config", "-f", file.as_str()]).await.map(drop)
}

async fn comes_back(lab: &Lab, node: &TestNode, row: Broken) -> Result<Duration> {
    let (old, boot) = (node.version().await?, node.status().await?.boot_id);
    let generation = node.status().await?.config_generation;
    let broken = row.of(further(lab, row.base)?);
    let path = bundle(lab, row.name, &broken)?;
    node.expect_boot();
    row.console.iter().for_each(|text| node.expect_trouble(text));
    let (begin, mark) = (std::time::Instant::now(), node.machine().console().mark());
    let ended = patient(node).run(&["upgrade", "-f", path.as_str(), "--force"]).await?;
    let took = begin.elapsed();
    ensure!(ended.code != Some(0), "a broken version was kept: {ended}");
    ensure!(ended.stderr.contains(row.reason), "{ended}");
    node.wait_ready().await?;
    ensure!(node.version().await? == old && node.status().await?.boot_id != boot, "{old} is not back");
    ensure!(node.status().await?.config_generation == generation, "the config changed");
    panicked(node, &row, mark).await?;
    // Whoever stands in front of the machine is told too.
    let refused = format!("version {}, refused: ", broken.about().version);
    node.machine().wait_console(&refused, mark, lab.timeouts().seconds(20)).await?;
    is_refused(node, &row, &broken.about().version, &path).await?;
    node.kubectl().ok(&["get", "configmap", "kept"]).await?;
    std::fs::remove_file(&path)?;
    Ok(took)
}

/// A kernel that panics does so in each of its boots; one that came as far as to have a place for its last words left them.
async fn panicked(node: &TestNode, row: &Broken, since: Mark) -> Result<()> {
    if row.console.contains(&"Kernel panic") {
        let panics = node.machine().console().since(since).matches("Kernel panic - not syncing").count();
        ensure!(panics == tries(row), "{panics} kernels panicked, not {}", tries(row));
    }
    if row.reason == "kernel panic" {
        let log = node.osctl().ok(&["dmesg", "--boot", "-1"]).await?;
        ensure!(log.contains("Kernel panic - not syncing"), "the boot before has another log: {log}");
    }
    Ok(())
}

/// It is not taken a second time, unless somebody insists or has it taken off the list.
async fn is_refused(node: &TestNode, row: &Broken, version: &str, path: &Utf8Path) -> Result<()> {
    let said = node.update_status().await?;
    let refused = said.denied.iter().any(|denied| denied.version == version);
    ensure!(refused && format!("{said:?}").contains(row.reason), "{version} is not refused: {said:?}");
    let upgrade = ["upgrade", "-f", path.as_str()];
    node.osctl().run(&upgrade).await?.fails(8, &["failed on this node before", "osctl update allow"])?;
    patient(node).ok(&[&upgrade[..], &["--force", "--no-reboot"]].concat()).await?;
    ensure!(status(node).await?.to_string().contains("\"staged\""), "it was not taken by force");
    node.osctl().ok(&["rollback", "--no-reboot"]).await?;

    let allowed = node.osctl().run(&["update", "allow", version]).await?;
    ensure!(allowed.code == Some(0) && allowed.stderr.contains("is allowed again"), "{allowed}");
    let said = node.update_status().await?;
    ensure!(said.denied.is_empty(), "{version} is refused still: {said:?}");
    let check = node.osctl().run(&[&upgrade[..], &["--dry-run"]].concat()).await?;
    ensure!(!check.to_string().contains("failed on this node before"), "{check}");
    Ok(())
}

#[test]
fn a_version_that_does_not_work_goes_away_by_itself() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        node.kubectl().ok(&["create", "configmap", "kept", "--from-literal=a=b"]).await?;
        for row in rotating(ROWS, 1) {
            give_tries(lab, &node, tries(&row)).await?;
            let took = comes_back(lab, &node, row).await.with_context(|| format!("row {}", row.name))?;
            eprintln!("{}: back on the old version and Ready after {} s", row.name, took.as_secs());
        }
        Ok(())
    });
}

/// Where a digit of a version is in the header. With another one the manifest can be read still, so that nothing but the
/// signature speaks against it.
fn a_digit(bundle: &[u8]) -> Result<usize> {
    let before = br#""minVersion":""#;
    Ok(memmem::find(bundle, before).context("the manifest has a version")? + before.len())
}

#[test]
fn a_bundle_that_is_no_update_for_this_node_is_refused_before_anything_is_written() {
    vm_test_in_turn(2, async |lab| {
        let node = lab.ready_node().await?;
        let next = further(lab, "next")?;
        let whole = next.bundle(&key(lab)?)?;
        let refuse = async |name: &str, bytes: &[u8], words: &[&str]| {
            let path = lab.dir().join(format!("{name}.bundle"));
            std::fs::write(&path, bytes)?;
            let ended = node.osctl().run(&["upgrade", "-f", path.as_str(), "--no-reboot"]).await?;
            ensure!(ended.code != Some(0), "{name} was taken: {ended}");
            let said = ended.stderr.to_lowercase();
            for word in words {
                ensure!(said.contains(word), "{name}: {word:?} is not said: {ended}");
            }
            let slots = node.osctl().ok(&["update", "status", "-o", "json"]).await?;
            ensure!(!slots.contains("\"staged\""), "{name} is staged: {slots}");
            anyhow::Ok(())
        };
        let foreign = next.bundle(&SigningKey::generate()?)?;
        refuse("foreign key", &foreign, &["update.invalid", "none of the", "keys trusted here"]).await?;
        let mut altered = whole.clone();
        altered[a_digit(&whole)?] ^= 1;
        refuse("altered header", &altered, &["update.invalid", "signature", "does not match"]).await?;
        let mut altered = whole.clone();
        let last = altered.len() - 5;
        altered[last] ^= 1;
        refuse("altered payload", &altered, &["update.invalid", "kernel image has hash"]).await?;
        refuse("truncated", &whole[..whole.len() / 2], &["update.invalid", "is cut off"]).await?;
        // All of it is signed and arrives, and the slot is not what the kernel would ask for.
        let other = next.clone().with_root_hash("cd".repeat(32).parse()?).bundle(&key(lab)?)?;
        refuse("root of another hash", &other, &["read the written slot back", "input/output error"]).await?;
        let other = next.clone().architecture("aarch64").bundle(&key(lab)?)?;
        refuse("other architecture", &other, &["aarch64"]).await?;
        let floor = next.clone().min_version("9.0.0").bundle(&key(lab)?)?;
        refuse("floor", &floor, &["9.0.0", "--force"]).await?;
        let format = next.clone().config_formats(2, 2).bundle(&key(lab)?)?;
        refuse("newer format", &format, &["config formats 2 to 2"]).await?;
        let format = next.clone().config_formats(0, 0).bundle(&key(lab)?)?;
        refuse("older format", &format, &["config formats 0 to 0"]).await?;
        // Who has several things to see to is told of all of them at once.
        let other = About { kubernetes: "v1.99.0".to_owned(), ..next.about() };
        let other = Variant::new(other, next.root(), &next.uki()?, next.stub().to_vec())?;
        let several = other.architecture("aarch64").min_version("9.0.0").config_formats(2, 2);
        let problems = [
            "4 problems",
            "aarch64",
            "9.0.0",
            "kubernetes v1.99.0",
            "config formats 2 to 2",
            "does not help against 1 of them",
        ];
        refuse("several problems", &several.bundle(&key(lab)?)?, &problems).await?;
        // After all that, the right one still goes.
        let path = lab.dir().join("right.bundle");
        std::fs::write(&path, &whole)?;
        patient(&node).ok(&["upgrade", "-f", path.as_str(), "--no-reboot"]).await?;
        let slots = node.osctl().ok(&["update", "status", "-o", "json"]).await?;
        ensure!(slots.contains("\"staged\""), "{slots}");
        Ok(())
    });
}

#[test]
fn a_byte_that_changed_in_the_new_slot_ends_in_the_old_one() {
    vm_test_in_turn(3, async |lab| {
        let node = lab.ready_node().await?;
        let (old, generation) = (node.version().await?, node.status().await?.config_generation);
        let next = further(lab, "next")?;
        let path = bundle(lab, "next", &next)?;
        patient(&node).ok(&["upgrade", "-f", path.as_str(), "--no-reboot"]).await?;
        node.osctl().ok(&["shutdown"]).await?;
        node.machine().wait_off(lab.timeouts().power_off()).await?;
        flip_a_byte(&node, "ROOT-B", next.root())?;
        node.expect_boot();
        node.expect_trouble(CORRUPTED);
        let mark = node.machine().console().mark();
        node.machine().start().await?;
        node.machine().wait_console(CORRUPTED, mark, lab.timeouts().api()).await?;
        node.wait_version(&old).await?;
        node.wait_ready().await?;
        // Its only try came as far as the initramfs, which the kernel ended at once.
        let (version, said) = (next.about().version, node.update_status().await?);
        let denied = said.denied.iter().find(|denied| denied.version == version);
        let why = denied.is_some_and(|denied| denied.reason.contains("left no trace"));
        let tries = said.last_failure.as_ref().map(|failure| failure.tries);
        ensure!(why && tries == Some(1), "{version} is not refused after one try: {said:?}");
        ensure!(node.status().await?.config_generation == generation, "the config changed");
        Ok(())
    });
}

#[test]
fn a_version_on_trial_is_given_up_by_a_rollback_and_nothing_is_held_against_it() {
    vm_test_in_turn(3, async |lab| {
        let node = lab.ready_node().await?;
        let old = node.version().await?;
        let policy = ("\ntries: 1\nsoak: 3s\n", "\ntries: 2\nsoak: 10m\n");
        change_policy(lab, &node, policy.0, policy.1).await?;
        let next = further(lab, "next")?;
        let path = bundle(lab, "next", &next)?;
        patient(&node).ok(&["upgrade", "-f", path.as_str(), "--no-wait"]).await?;
        node.wait_version(&next.about().version).await?;
        let trial = |text: &str| text.contains("1 of 2 tries left");
        node.osctl().until(&["update", "status"], lab.timeouts().seconds(20), trial).await?;

        node.expect_boot();
        patient(&node).ok(&["rollback"]).await?;
        ensure!(node.version().await? == old, "the old version does not run");
        let said = node.update_status().await?;
        ensure!(said.denied.is_empty() && said.pending.is_none(), "{said:?}");
        node.osctl().run(&["rollback"]).await?.fails(8, &["no version that could boot"])
    });
}
