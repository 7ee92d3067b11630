//! `osctl reset`: what each scope erases, in which way, and what it leaves.

use anyhow::{Context as _, Result, ensure};
use corten_api::v1;
use corten_client::{Client, Options};
use corten_lab::{Boot, Mark, Medium};
use corten_sys::block::gpt;
use corten_vm_tests::{Finished, Lab, TestNode, vm_test, vm_test_in_turn};

use crate::services::back;
use crate::versions::start_of;

/// The image of test pods. By this name containerd knows it, on EPHEMERAL and nowhere else.
const IMAGE: &str = "corten.dev/workload:latest";

/// A node whose config is on its disk only. Returns it with the fingerprint that it had before.
async fn configured_by_hand(lab: &Lab) -> Result<(TestNode, String)> {
    let mut options = lab.options("reset");
    options.maintenance = true;
    let node = lab.node(&options).await?;
    let fingerprint = node.wait_fingerprint(Mark::START).await?;
    node.apply_first_config(&fingerprint, &node.cluster().config_file(), &[]).await?.ok()?;
    node.now_configured();
    node.wait_api().await?;
    Ok((node, fingerprint))
}

async fn with_image(node: &TestNode, lab: &Lab) -> Result<()> {
    let archive = lab.workload_archive();
    let imported = |images: &str| images.contains(IMAGE);
    // containerd comes a little later than the API.
    node.osctl().until(&["images", "import", archive.as_str()], lab.timeouts().api(), imported).await?;
    Ok(())
}

async fn reset(node: &TestNode, arguments: &[&str]) -> Result<Finished> {
    node.osctl().run(&[&["reset", "--yes"], arguments].concat()).await
}

/// The same for a machine without a config.
async fn insecure_reset(node: &TestNode, fingerprint: &str, arguments: &[&str]) -> Result<Finished> {
    node.insecure(fingerprint, &[&["reset", "--yes"], arguments].concat()).await
}

/// What a machine in maintenance says about itself.
async fn id_in_maintenance(node: &TestNode) -> Result<String> {
    let client = Client::connect_insecure(&node.address()?, None, Options::default()).await?;
    Ok(client.machine().status(v1::StatusRequest {}).await?.into_inner().machine_id)
}

/// Wants the console to say that these, and nothing else, were erased in that way.
fn erased(node: &TestNode, since: Mark, volumes: &[&str], way: &str) -> Result<()> {
    let said = node.machine().console().since(since);
    let lines =
        said.lines().filter_map(|line| line.split_once("corten: erased ")).map(|(_, rest)| rest.trim());
    let lines: Vec<&str> = lines.collect();
    let wanted: Vec<String> = volumes.iter().map(|volume| format!("{volume} {way}")).collect();
    ensure!(lines == wanted, "erased were {lines:?}, not {wanted:?}");
    Ok(())
}

async fn ephemeral_is_overwritten_and_state_stays(node: &TestNode, lab: &Lab) -> Result<()> {
    with_image(node, lab).await?;
    let before = node.status().await?;
    node.osctl().run(&["reset", "--ephemeral"]).await?.fails(2, &["confirmed", "give --yes"])?;
    let mark = node.machine().console().mark();
    let ended = reset(node, &["--ephemeral", "--method", "overwrite", "--power-off", "--force"]).await?;
    ensure!(ended.code == Some(0) && ended.stderr.contains("the machine stays off"), "{ended}");
    node.machine().wait_off(lab.timeouts().power_off()).await?;
    erased(node, mark, &["EPHEMERAL"], "by writing zeros")?;
    let disk = node.raw_disk()?;
    ensure!(!disk.holds(IMAGE.as_bytes())?, "something of EPHEMERAL is on the disk");
    let (secrets, found) = (node.secrets()?.len(), disk.count(&node.secrets()?)?);
    ensure!(found == secrets, "{found} of the config's {secrets} secrets are on the disk in the clear");
    drop(disk);

    node.machine().start().await?;
    node.wait_api().await?;
    let after = node.status().await?;
    let same = after.machine_id == before.machine_id && after.hostname == before.hostname;
    ensure!(same && after.config_generation == before.config_generation, "{before:?} became {after:?}");
    let images = node.osctl().until(&["images", "list"], lab.timeouts().api(), |_| true).await?;
    ensure!(!images.contains(IMAGE), "an image outlived its file system: {images}");
    Ok(())
}

/// Returns the fingerprint that the machine has then.
async fn state_is_discarded_and_the_machine_knows_nobody(node: &TestNode) -> Result<String> {
    let id = node.status().await?.machine_id;
    let mark = node.machine().console().mark();
    let ended = reset(node, &["--state", "--method", "discard"]).await?;
    let told = ["the node was not drained", "comes back in maintenance"];
    ensure!(ended.code == Some(0) && told.iter().all(|text| ended.stderr.contains(text)), "{ended}");
    node.now_in_maintenance();
    let fingerprint = node.wait_fingerprint(mark).await?;
    node.wait_api().await?;
    erased(node, mark, &["STATE"], "by discarding")?;
    ensure!(id_in_maintenance(node).await? != id, "the machine is the same one");
    node.osctl().run(&["services"]).await?.fails(8, &["maintenance", "apply-config"])?;
    Ok(fingerprint)
}

#[test]
fn a_reset_erases_what_it_names_in_the_way_that_it_names_and_leaves_the_rest() {
    vm_test(async |lab| {
        let (node, first) = configured_by_hand(lab).await?;
        ephemeral_is_overwritten_and_state_stays(&node, lab).await?;
        with_image(&node, lab).await?;
        let fingerprint = state_is_discarded_and_the_machine_knows_nobody(&node).await?;
        ensure!(fingerprint != first, "the machine has kept its key");

        let mark = node.machine().console().mark();
        let whole = ["--disk", "--method", "headers", "--power-off"];
        insecure_reset(&node, &first, &whole).await?.fails(4, &["another fingerprint"])?;
        insecure_reset(&node, &fingerprint, &whole).await?.ok()?;
        node.machine().wait_off(lab.timeouts().power_off()).await?;
        let table = "the partition table";
        let all = ["STATE", "EPHEMERAL", "EFI", "META", "ROOT-A", "ROOT-B", table, table];
        erased(&node, mark, &all, "by its headers only")?;
        let disk = node.raw_disk()?;
        ensure!(gpt::read(disk.path(), 512).is_err(), "the disk has a partition table");
        let found = disk.count(&node.secrets()?)?;
        ensure!(found == 0, "{found} secrets are on the disk after STATE was discarded");
        ensure!(disk.holds(IMAGE.as_bytes())?, "more than headers of EPHEMERAL were erased");
        Ok(())
    });
}

#[test]
fn from_a_medium_the_installed_system_beside_it_is_erased_as_a_whole_only() {
    vm_test_in_turn(3, async |lab| {
        let mut options = lab.options("erased");
        options.medium = Some(Medium { first: true, ..Medium::cdrom(&lab.image().iso()?) });
        (options.boot, options.maintenance) = (Boot::Firmware, true);
        let node = lab.prepare(&options).await?;
        let mark = node.machine().start().await?;
        let fingerprint = node.wait_fingerprint(mark).await?;
        node.wait_api().await?;
        let system = |disks: &str| disks.lines().find(|line| line.contains("vda")).map(str::to_owned);
        let holds = |disks: &str, what| system(disks).is_some_and(|line| line.contains(what));
        node.wait_disks(&fingerprint, |disks| holds(disks, "corten ")).await?;
        let ended = insecure_reset(&node, &fingerprint, &["--state", "--ephemeral"]).await?;
        ended.fails(8, &["reset.refused", "install medium", "hint:", "osctl reset --disk"])?;

        let mark = node.machine().console().mark();
        let ended = insecure_reset(&node, &fingerprint, &["--disk"]).await?;
        ensure!(ended.code == Some(0) && ended.stderr.contains("all of it on vda"), "{ended}");
        let fingerprint = node.wait_fingerprint(mark).await.context("the medium starts again")?;
        let said = node.machine().console().since(mark);
        ensure!(said.contains("corten: erased the partition table by discarding"), "{said}");
        node.wait_api().await?;
        node.wait_disks(&fingerprint, |disks| holds(disks, "empty")).await
    });
}

#[test]
fn a_control_plane_that_lost_its_data_by_a_reset_begins_anew() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let before = node.status().await?;
        reset(&node, &["--ephemeral", "--force"]).await?.ok()?;
        let after = node.wait_reboot(&before.boot_id).await?;
        ensure!(after.config_generation == before.config_generation, "{before:?} became {after:?}");
        let patience = lab.timeouts().seconds(30);
        node.osctl().until(&["bootstrap"], patience, |_| true).await?;
        back(&node, "etcd", 0, patience).await.map(drop)
    });
}

#[test]
fn a_machine_whose_state_is_damaged_is_looked_at_by_strangers_and_not_erased() {
    vm_test_in_turn(2, async |lab| {
        let node = lab.ready_node().await?;
        node.osctl().ok(&["shutdown"]).await?;
        node.machine().wait_off(lab.timeouts().power_off()).await?;
        // Where ext4 has its superblock, and the journal's beginning.
        node.machine().overwrite_disk(start_of("STATE")?, 1 << 20, 0xa5)?;
        node.expect_boot();
        node.expect_trouble("volume STATE cannot be used");
        let mark = node.machine().start().await?;
        let fingerprint = node.wait_fingerprint(mark).await?;
        node.insecure(&fingerprint, &["disks"]).await?.ok()?;
        for command in [&["reset", "--disk", "--yes"][..], &["reboot"], &["shutdown"]] {
            let refused = node.insecure(&fingerprint, command).await?;
            refused.fails(5, &["access.denied", "STATE cannot be used", "not formatted over", "hint:"])?;
        }
        Ok(node.machine().power_cut().await?)
    });
}
