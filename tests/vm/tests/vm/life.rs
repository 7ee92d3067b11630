//! The life of a machine: from the install medium onto its disk, through an update and back, and to the medium again.
//! Everything that it wrote is recorded, and played back up to many power cuts ([`crate::cuts`]).

use anyhow::{Context as _, Result, ensure};
use corten_lab::{Medium, MediumKind};
use corten_vm_tests::cuts::Diary;
use corten_vm_tests::{Lab, TestNode, vm_test};

use crate::cuts::{self, BLESS, BOOT, RESET, ROLLBACK, UPGRADE};
use crate::versions::{bundle, further, patient};

/// What a config of the new version has, and that of the old one lacks.
const NEWER: &str =
    "---\napiVersion: corten.dev/v1\nkind: Sysctl\nsettings:\n  vm.max_map_count: \"300000\"\n";

async fn installed(lab: &Lab, diary: &mut Diary) -> Result<TestNode> {
    // A stick, as for most physical machines. Other tests start from a CD.
    let mut options = lab.options("life");
    options.medium = Some(Medium { kind: MediumKind::Usb, ..Medium::cdrom(&lab.image().iso()?) });
    options.disk.record = true;
    let (node, fingerprint) = lab.iso_node(&options).await?;
    let address = node.address()?;
    let with = ["--insecure", "--fingerprint", &fingerprint, "-n", &address];
    let disks = node.osctl().ok(&[&["disks"], &with[..]].concat()).await?;
    ensure!(disks.contains("vda") && disks.contains("empty"), "{disks}");

    // Without a disk, with the wrong disk, and only to look: nothing is written.
    let config = node.cluster().config_file();
    node.apply_first_config(&fingerprint, &config, &[]).await?.fails(6, &["install"])?;
    let wrong = node.install_config("{transport: nvme}", false)?;
    node.apply_first_config(&fingerprint, &wrong, &[]).await?.fails(8, &["vda", "hint:"])?;
    let right = node.install_config("{serial: system}", false)?;
    let plan = node.apply_first_config(&fingerprint, &right, &["--dry-run"]).await?;
    let shown = format!("{}{}", plan.stdout, plan.stderr);
    ensure!(plan.code == Some(0) && shown.contains("ROOT-B") && shown.contains("EPHEMERAL"), "{plan}");
    let disks = node.osctl().ok(&[&["disks"], &with[..]].concat()).await?;
    ensure!(disks.contains("empty"), "something was written: {disks}");

    node.apply_first_config(&fingerprint, &right, &[]).await?.ok()?;
    // What was answered to is on the disk for good.
    diary.begin(BOOT, &node.machine().recording("system")?)?;
    node.wait_installed().await?;
    Ok(node)
}

/// Gives the node a config that the version before never had.
async fn newer_config(lab: &Lab, node: &TestNode) -> Result<()> {
    let file = lab.dir().join("newer.yaml");
    let config = std::fs::read_to_string(node.cluster().config_file())?;
    std::fs::write(&file, format!("{config}{NEWER}"))?;
    node.osctl().ok(&["apply-config", "-f", file.as_str()]).await.map(drop)
}

/// A version that stays has the workload, and the node takes new pods again.
async fn goes_on(node: &TestNode, version: &str) -> Result<()> {
    node.wait_version(version).await?;
    node.wait_ready().await?;
    node.kubectl().ok(&["get", "configmap", "kept"]).await?;
    // Kubernetes takes its taint of a cordon away some seconds after the cordon itself.
    let spec = ["get", "node", node.name(), "-o", "jsonpath={.spec}"];
    let patience = node.machine().timeouts().seconds(20);
    let freed = node.kubectl().until(&spec, patience, |spec| !spec.contains("unschedulable")).await;
    freed.context("the node stayed cordoned").map(drop)
}

#[test]
fn a_machine_goes_from_the_medium_through_an_update_and_back_to_the_medium() {
    vm_test(async |lab| {
        let mut diary = cuts::diary();
        let node = installed(lab, &mut diary).await?;
        node.bootstrap().await?;
        node.kubectl().ok(&["create", "configmap", "kept", "--from-literal=a=b"]).await?;
        let (old, secret) = (node.version().await?, node.secret()?);

        let next = further(lab, "next")?;
        let path = bundle(lab, "next", &next)?;
        let dry = node.osctl().ok(&["upgrade", "-f", path.as_str(), "--dry-run"]).await?;
        ensure!(dry.contains("nothing speaks against"), "{dry}");
        diary.begin(UPGRADE, &node.machine().recording("system")?)?;
        let upgrade = async { patient(&node).ok(&["upgrade", "-f", path.as_str()]).await };
        let trial = async {
            node.wait_version(&next.about().version).await?;
            diary.begin(BLESS, &node.machine().recording("system")?)
        };
        tokio::try_join!(upgrade, trial)?;
        let new = next.about().version;
        ensure!(node.version().await? == new, "{} runs", node.version().await?);
        goes_on(&node, &new).await?;
        let slots = node.osctl().ok(&["update", "status"]).await?;
        ensure!(slots.contains("ROOT-B") && slots.contains(&new) && slots.contains(&old), "{slots}");
        newer_config(lab, &node).await?;

        diary.begin(ROLLBACK, &node.machine().recording("system")?)?;
        patient(&node).ok(&["rollback"]).await?;
        goes_on(&node, &old).await?;
        let config = node.osctl().ok(&["get-config"]).await?;
        ensure!(!config.contains("max_map_count"), "the old version has the new one's config: {config}");

        let mark = node.machine().console().mark();
        diary.begin(RESET, &node.machine().recording("system")?)?;
        patient(&node).ok(&["reset", "--disk", "--yes"]).await?;
        node.now_in_maintenance();
        node.expect_boot();
        node.wait_fingerprint(mark).await.context("the medium boots after the reset")?;
        node.machine().power_cut().await?;
        ensure!(!node.raw_disk()?.holds(&secret)?, "a secret is on the disk after the reset");
        cuts::check(lab, &node, &diary, &next, &String::from_utf8(secret)?).await
    });
}
