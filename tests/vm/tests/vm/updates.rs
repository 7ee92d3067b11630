//! New versions: one that stays, every kind that does not, and bundles that are no updates.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use corten_bundle::SigningKey;
use corten_image::broken::{Broken, ROWS};
use corten_vm_tests::{Lab, TestNode, rotating, vm_test, vm_test_in_turn};

use crate::versions::{CORRUPTED, bundle, flip_a_byte, further, key, patient};

async fn status(node: &TestNode) -> Result<serde_json::Value> {
    let text = node.osctl().ok(&["update", "status", "-o", "json"]).await?;
    Ok(serde_json::from_str(&text)?)
}

async fn comes_back(lab: &Lab, node: &TestNode, row: Broken) -> Result<Duration> {
    let (old, boot) = (node.version().await?, node.status().await?.boot_id);
    let generation = node.status().await?.config_generation;
    let path = bundle(lab, row.name, &row.of(further(lab, row.base)?))?;
    node.expect_boot();
    row.console.iter().for_each(|text| node.expect_trouble(text));
    let begin = std::time::Instant::now();
    let ended = patient(node).run(&["upgrade", "-f", path.as_str(), "--force"]).await?;
    let took = begin.elapsed();
    ensure!(ended.code != Some(0), "a broken version was kept: {ended}");
    ensure!(ended.stderr.contains(row.reason), "{ended}");
    node.wait_ready().await?;
    ensure!(node.version().await? == old && node.status().await?.boot_id != boot, "{old} is not back");
    ensure!(node.status().await?.config_generation == generation, "the config changed");
    let said = status(node).await?;
    let text = said.to_string();
    ensure!(text.contains("denied") && text.contains(row.reason), "{text}");
    // It is not taken a second time unless somebody insists.
    node.osctl().run(&["upgrade", "-f", path.as_str()]).await?.fails(8, &["failed on this node before"])?;
    patient(node).ok(&["upgrade", "-f", path.as_str(), "--force", "--no-reboot"]).await?;
    ensure!(status(node).await?.to_string().contains("\"staged\""), "it was not taken by force");
    node.osctl().ok(&["rollback", "--no-reboot"]).await?;
    node.kubectl().ok(&["get", "configmap", "kept"]).await?;
    std::fs::remove_file(&path)?;
    Ok(took)
}

#[test]
fn a_version_that_does_not_work_goes_away_by_itself() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        node.kubectl().ok(&["create", "configmap", "kept", "--from-literal=a=b"]).await?;
        for row in rotating(ROWS, 1) {
            let took = comes_back(lab, &node, row).await.with_context(|| format!("row {}", row.name))?;
            eprintln!("{}: back on the old version and Ready after {} s", row.name, took.as_secs());
        }
        Ok(())
    });
}

#[test]
fn a_bundle_that_is_no_update_for_this_node_is_refused_before_anything_is_written() {
    vm_test_in_turn(0, async |lab| {
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
        refuse("foreign key", &next.bundle(&SigningKey::generate()?)?, &["key"]).await?;
        let mut altered = whole.clone();
        altered[40] ^= 1;
        refuse("altered header", &altered, &["bundle"]).await?;
        let mut altered = whole.clone();
        let last = altered.len() - 5;
        altered[last] ^= 1;
        refuse("altered payload", &altered, &["hash"]).await?;
        refuse("truncated", &whole[..whole.len() / 2], &["bundle"]).await?;
        let other = next.clone().architecture("aarch64").bundle(&key(lab)?)?;
        refuse("other architecture", &other, &["aarch64"]).await?;
        let floor = next.clone().min_version("9.0.0").bundle(&key(lab)?)?;
        refuse("floor", &floor, &["9.0.0", "--force"]).await?;
        let format = next.clone().config_formats(2, 2).bundle(&key(lab)?)?;
        refuse("config format", &format, &["config formats 2 to 2"]).await?;
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
    vm_test_in_turn(1, async |lab| {
        let node = lab.ready_node().await?;
        let old = node.version().await?;
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
        let said = status(&node).await?.to_string();
        ensure!(said.contains("denied") && said.contains("tries"), "{said}");
        Ok(())
    });
}
