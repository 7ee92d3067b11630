//! Power cuts at fifty writes of a machine's life, where what was not flushed is lost. Each disk that they leave is looked
//! at; a few of them are put into the machine, which has to start from them.

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use corten_api::v1::Stage;
use corten_image::variant::{UKI, Variant};
use corten_lab::Mark;
use corten_lab::writelog::{Cut, Log};
use corten_vm_tests::cuts::{Diary, PowerCut, Walk, choose};
use corten_vm_tests::replayed::{Found, Known, Rule, State, System, Version};
use corten_vm_tests::{Lab, TestNode, rotating};

const INSTALL: &str = "install";
pub(crate) const BOOT: &str = "boot and bootstrap";
pub(crate) const UPGRADE: &str = "upgrade";
pub(crate) const BLESS: &str = "trial and bless";
pub(crate) const ROLLBACK: &str = "rollback";
pub(crate) const RESET: &str = "reset";

/// Disks that are looked at.
const CUTS: usize = 50;
/// Phases of which a disk is started from: in turn, or all in a long run.
const STARTED: [&str; 5] = [INSTALL, UPGRADE, BLESS, ROLLBACK, RESET];
const STARTED_AT_ONCE: usize = 2;

/// To be filled while the machine runs.
pub(crate) fn diary() -> Diary {
    Diary::new(INSTALL)
}

/// Cuts the power, over and over, in what was recorded of a node that is off. Its config holds `secret`.
pub(crate) async fn check(
    lab: &Lab,
    node: &TestNode,
    diary: &Diary,
    next: &Variant,
    secret: &str,
) -> Result<()> {
    let recording = node.machine().recording("system")?;
    let log = Log::open(&recording.logs)?;
    let cuts = choose(&log, &diary.phases(&log), recording.bytes, CUTS)?;
    ensure!(cuts.len() == CUTS, "{} entries give {} power cuts", log.entries().len(), cuts.len());
    let (known, path) = (known(lab, next, secret)?, node.machine().dir().join("disk-replayed.raw"));
    let mut walk = Walk::new(&log, &recording, &path, &known)?;
    let (mut starts, mut problems) = (starts(&cuts), Vec::new());
    for (number, power_cut) in cuts.iter().enumerate() {
        let found = look(&mut walk, power_cut)?;
        let (rule, versions) = expected(power_cut.phase, &known);
        if let Err(problem) = rule.check(&found, &versions) {
            problems.push(format!("{power_cut:?}: {problem:#}"));
        } else if let Some(due) = due(&starts, &cuts, number) {
            starts.remove(due);
            let started = start_from(node, &path, &found, &versions).await;
            started.with_context(|| format!("start from {power_cut:?}, {found:?}"))?;
        }
    }
    ensure!(problems.is_empty(), "{} of {CUTS} power cuts: {problems:#?}", problems.len());
    ensure!(starts.is_empty(), "no disk was started from in {starts:?}");
    Rule::Erased.check(&walk.to(Cut::Kept(log.entries().len()))?, &[]).context("at the end")
}

/// Says what it finds: a failure is read together with its neighbours.
fn look(walk: &mut Walk<'_>, power_cut: &PowerCut) -> Result<Found> {
    let began = Instant::now();
    let found = walk.to(power_cut.cut).with_context(|| format!("{power_cut:?}"))?;
    #[expect(clippy::print_stderr, reason = "the test's own output")]
    let () = eprintln!("{power_cut:?}: {found:?} in {:?}", began.elapsed());
    Ok(found)
}

/// What may start, and what the disk may be.
fn expected<'a>(phase: &str, known: &'a Known) -> (Rule, Vec<&'a str>) {
    let both: Vec<&str> = known.versions.iter().map(|version| version.name.as_str()).collect();
    let old = both[..1].to_vec();
    match phase {
        INSTALL => (Rule::Installing, old),
        BOOT => (Rule::Running, old),
        // By then it was rolled back.
        RESET => (Rule::Erasing, old),
        _ => (Rule::Running, both),
    }
}

/// The phases of which a disk is still to be started from, each with the cut in its middle.
fn starts(cuts: &[PowerCut]) -> Vec<(&'static str, usize)> {
    let middle = |phase: &'static str| {
        let mut places = (0..cuts.len()).filter(|number| cuts[*number].phase == phase);
        let count = places.clone().count();
        Some((phase, places.nth(count / 2)?))
    };
    rotating(&STARTED, STARTED_AT_ONCE).into_iter().filter_map(middle).collect()
}

/// The start that this disk is for.
fn due(starts: &[(&str, usize)], cuts: &[PowerCut], number: usize) -> Option<usize> {
    starts.iter().position(|(phase, middle)| *phase == cuts[number].phase && *middle == number)
}

/// The two versions; the one that was installed first.
fn known(lab: &Lab, next: &Variant, secret: &str) -> Result<Known> {
    let file = |name: &str| {
        let path = lab.image().dir().join(name);
        fs::read(&path).with_context(|| format!("read {path}"))
    };
    let version = |variant: &Variant, kernel_image| -> Result<Version> {
        let about = variant.about();
        let root = variant.root().to_owned().try_into().context("name the root image")?;
        Ok(Version { name: about.version, kernel_image, root, root_hash: about.root_hash })
    };
    let old = Variant::from_dir(lab.image().dir().as_std_path())?;
    Ok(Known {
        loader: file("loader.efi")?,
        versions: vec![version(&old, file(UKI)?)?, version(next, next.uki()?)?],
        config: secret.to_owned(),
    })
}

async fn start_from(node: &TestNode, path: &Utf8Path, found: &Found, versions: &[&str]) -> Result<()> {
    let machine = node.machine();
    machine.lay_disk_over("system", path)?;
    // A version on trial may go away by itself.
    node.expect_boot();
    let mark = machine.start().await?;
    let answered = match (&found.system, &found.state) {
        (System::Whole(_), State::Configured) => answers_as_itself(node, versions).await,
        _ => waits_for_a_config(node, mark).await,
    };
    // The disk under it goes on to the next moment.
    machine.power_cut().await?;
    answered
}

/// From the medium, or from a disk whose STATE is new.
async fn waits_for_a_config(node: &TestNode, mark: Mark) -> Result<()> {
    node.now_in_maintenance();
    node.wait_fingerprint(mark).await?;
    node.wait_api().await
}

async fn answers_as_itself(node: &TestNode, versions: &[&str]) -> Result<()> {
    node.wait_installed().await?;
    let version = node.version().await?;
    ensure!(versions.contains(&version.as_str()), "{version} runs");
    let own = |status: &corten_api::v1::StatusResponse| {
        status.config_generation > 0 && status.stage() != Stage::Maintenance
    };
    node.wait_status(own, node.machine().timeouts().ready()).await.map(drop)
}
