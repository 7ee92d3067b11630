//! The life of a machine: from the install medium onto its disk, through an update and back, and to the medium again.
//! Everything that it wrote is recorded, and played back up to many power cuts ([`crate::cuts`]).

use anyhow::{Context as _, Result, ensure};
use corten_lab::{Mark, Medium, MediumKind};
use corten_vm_tests::cuts::Diary;
use corten_vm_tests::{Lab, TestNode, manifest, vm_test};
use serde_json::json;

use crate::cuts::{self, BLESS, BOOT, RESET, ROLLBACK, UPGRADE};
use crate::services::MORE_MAPS;
use crate::versions::{bundle, further, patient};

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

    // Without a disk, with the wrong disk, with the stick itself, and only to look: nothing is written.
    let config = node.cluster().config_file();
    node.apply_first_config(&fingerprint, &config, &[]).await?.fails(6, &["install"])?;
    let wrong = node.install_config("{transport: nvme}", false)?;
    node.apply_first_config(&fingerprint, &wrong, &[]).await?.fails(8, &["vda", "hint:"])?;
    let stick = node.install_config("{transport: usb}", true)?;
    let ended = node.apply_first_config(&fingerprint, &stick, &[]).await?;
    // It fits, so there is no other reason.
    ended.fails(8, &["install.disk", "): the system runs from it\n", "hint:"])?;
    let right = node.install_config("{serial: system}", false)?;
    let plan = node.apply_first_config(&fingerprint, &right, &["--dry-run"]).await?;
    let shown = format!("{}{}", plan.stdout, plan.stderr);
    ensure!(plan.code == Some(0) && shown.contains("ROOT-B") && shown.contains("EPHEMERAL"), "{plan}");
    let disks = node.osctl().ok(&[&["disks"], &with[..]].concat()).await?;
    ensure!(disks.contains("empty"), "something was written: {disks}");

    let mark = node.machine().console().mark();
    node.apply_first_config(&fingerprint, &right, &[]).await?.ok()?;
    // What was answered to is on the disk for good.
    diary.begin(BOOT, &node.machine().recording("system")?)?;
    told_how_far(&node, mark).await?;
    node.wait_installed().await?;
    Ok(node)
}

/// Whoever stands in front of the machine has seen how far the installation was.
async fn told_how_far(node: &TestNode, since: Mark) -> Result<()> {
    let (text, patience) = ("installation to /dev/vda: ", node.machine().timeouts().seconds(5));
    node.machine().wait_console(text, since, patience).await?;
    let said = node.machine().console().since(since);
    let percents = said.lines().filter_map(|line| {
        let (step, rest) = line.split_once(text)?.1.split_once(", ")?;
        Some((step, rest.split_once(" %")?.0.parse::<u8>().ok()?))
    });
    // Which of the long steps gets a line in its middle depends on how quick they are.
    let halfway = percents.clone().any(|(_, percent)| (1..100).contains(&percent));
    ensure!(halfway, "the console shows no progress but {:?}", percents.collect::<Vec<_>>());
    Ok(())
}

/// Gives the node a config that the version before never had.
async fn newer_config(lab: &Lab, node: &TestNode) -> Result<()> {
    let file = lab.dir().join("newer.yaml");
    let config = std::fs::read_to_string(node.cluster().config_file())?;
    std::fs::write(&file, format!("{config}{MORE_MAPS}"))?;
    node.osctl().ok(&["apply-config", "-f", file.as_str()]).await.map(drop)
}

/// A Node without a machine, whose presence is enough to move pods away from the other one.
const OTHER: &str = "other";
/// A Deployment of one pod.
const MOVED: &str = "moved";

/// Starts a pod that another one replaces, and a Node beside this one. Tells the pod's uid.
async fn crowded(lab: &Lab, node: &TestNode) -> Result<String> {
    node.import_workload(&lab.workload_archive()).await?;
    let mut template = manifest(MOVED, &["sleep"]);
    template["spec"]["restartPolicy"] = "Always".into();
    let template = json!({ "metadata": template["metadata"], "spec": template["spec"] });
    let selector = json!({ "matchLabels": template["metadata"]["labels"] });
    let spec = json!({ "replicas": 1, "selector": selector, "template": template });
    let metadata = json!({ "name": MOVED });
    let deployment =
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec });
    node.apply(&deployment).await?;
    node.apply(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": OTHER } })).await?;
    running(node, |_| true).await
}

/// Waits for a pod of the Deployment that runs on the node and whose uid is like that; tells the uid.
async fn running(node: &TestNode, wanted: impl Fn(&str) -> bool) -> Result<String> {
    let label = format!("app={MOVED}");
    let place = format!("spec.nodeName={},status.phase=Running", node.name());
    let uid = "jsonpath={.items[*].metadata.uid}";
    let pods = ["get", "pods", "-l", &label, "--field-selector", &place, "-o", uid];
    let patience = node.machine().timeouts().seconds(30);
    node.kubectl().until(&pods, patience, |uid| !uid.is_empty() && wanted(uid)).await
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
        let old = node.version().await?;
        let pod = crowded(lab, &node).await?;

        let next = further(lab, "next")?;
        let path = bundle(lab, "next", &next)?;
        let dry = node.osctl().ok(&["upgrade", "-f", path.as_str(), "--dry-run"]).await?;
        ensure!(dry.contains("nothing speaks against"), "{dry}");
        diary.begin(UPGRADE, &node.machine().recording("system")?)?;
        let upgrade = async { patient(&node).run(&["upgrade", "-f", path.as_str()]).await };
        let trial = async {
            node.wait_version(&next.about().version).await?;
            diary.begin(BLESS, &node.machine().recording("system")?)
        };
        let (upgraded, ()) = tokio::try_join!(upgrade, trial)?;
        let said = upgraded.stderr.clone();
        upgraded.ok()?;
        ensure!(!said.contains("did not leave") && !said.contains("not drained"), "{said}");
        let new = next.about().version;
        ensure!(node.version().await? == new, "{} runs", node.version().await?);
        goes_on(&node, &new).await?;
        running(&node, |uid| uid != pod).await.context("no other pod took over")?;
        node.kubectl().ok(&["delete", "node", OTHER]).await?;
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
        let found = node.raw_disk()?.count(&node.secrets()?)?;
        ensure!(found == 0, "{found} secrets are on the disk after the reset");
        let token = node.cluster().secrets()?.join_token;
        cuts::check(lab, &node, &diary, &next, token.expose()).await
    });
}
