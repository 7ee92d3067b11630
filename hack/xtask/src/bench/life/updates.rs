//! A reboot, an upgrade, the way back, and upgrades that fail: how long the node is away, and when it is itself again.

use std::fs::{self, File};
use std::io::BufWriter;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8PathBuf;
use corten_api::v1::{UpdateStatusRequest, VersionRequest};
use corten_config::UpdatePolicy;
use corten_image::broken::Broken;
use corten_image::variant::Variant;
use tokio::time::sleep;

use super::super::guest::{Guest, LOOK};
use super::super::report::{Figure, Target, Unit};
use super::super::tools::Tools;
use super::away::{Trip, trip};
use crate::cache;
use crate::image::{Further, signing_key};
use crate::progress;

/// An upgrade takes the node away for at most so much longer than a reboot does, in seconds.
const LONGER: f64 = 5.0;

/// All of it, on a Ready node that runs from its disk.
pub(super) async fn measure(
    guest: &Guest,
    tools: &Tools,
    policy: &UpdatePolicy,
    rows: &[Broken],
) -> Result<Vec<Figure>> {
    let reboot = trip(guest, tools, &["reboot"]).await?.succeeded().context("reboot")?;
    progress::note("bench/life", "rebooted");
    let limit = reboot.away.as_secs_f64() + LONGER;
    let mut figures =
        vec![away("reboot", &reboot), seconds("reboot: from the command until Ready", reboot.ready)];

    let old = version(guest).await?;
    let upgrade = upgrade(guest, tools).await.context("upgrade")?;
    progress::note("bench/life", "upgraded");
    figures.push(away("upgrade", &upgrade).aim(Target::AtMost(limit)));
    figures.push(seconds("upgrade: from the command until Ready", upgrade.ready));
    figures.push(seconds("upgrade: from the command until the new version is kept", upgrade.command));

    let rollback = trip(guest, tools, &["rollback", "--no-wait"]).await?.succeeded().context("rollback")?;
    ensure!(version(guest).await? == old, "the rollback did not lead to {old}");
    progress::note("bench/life", "rolled back");
    figures.push(away("rollback", &rollback));
    figures.push(seconds("rollback: from the command until Ready", rollback.ready));

    let (tries, deadline) = (f64::from(policy.tries), policy.health_deadline);
    figures.push(Figure::new("failed upgrade: tries that a new version has", tries, Unit::Count));
    figures.push(seconds("failed upgrade: health deadline of each try", deadline));
    let limit = tries * (reboot.ready + deadline).as_secs_f64();
    for row in rows {
        let took = failed(guest, tools, row).await.with_context(|| format!("row {}", row.name))?;
        progress::note("bench/life", &format!("{}: back on the old version", row.name));
        let name = format!("failed upgrade, {}: until Ready on the old version", row.name);
        figures.push(seconds(&name, took).aim(Target::AtMost(limit)));
    }
    Ok(figures)
}

fn seconds(name: &str, value: Duration) -> Figure {
    Figure::new(name, value.as_secs_f64(), Unit::Seconds)
}

fn away(what: &str, trip: &Trip) -> Figure {
    seconds(&format!("{what}: the API does not answer"), trip.away)
}

/// To the next version, which stays.
async fn upgrade(guest: &Guest, tools: &Tools) -> Result<Trip> {
    let next = further(Further::Next.name())?;
    let trip = with_bundle(guest, tools, &next, &[]).await?.succeeded()?;
    let (runs, wanted) = (version(guest).await?, next.about().version);
    ensure!(runs == wanted, "{runs} runs after the upgrade to {wanted}");
    Ok(trip)
}

/// To a version that must not stay: the time until the old one is Ready again.
async fn failed(guest: &Guest, tools: &Tools, row: &Broken) -> Result<Duration> {
    let old = version(guest).await?;
    let version_of_row = row.of(further(row.base)?);
    // Another row may have failed under the same version.
    let trip = with_bundle(guest, tools, &version_of_row, &["--force"]).await?.failed(row.reason)?;
    let runs = version(guest).await?;
    ensure!(runs == old, "{runs} runs, and not {old}");
    Ok(trip.ready)
}

/// `osctl upgrade` from a bundle on this computer, which ends with the verdict on the new version.
async fn with_bundle(guest: &Guest, tools: &Tools, variant: &Variant, more: &[&str]) -> Result<Trip> {
    wait_slots(guest).await?;
    let bundle = bundle(guest, variant)?;
    let arguments = [&["upgrade", "--file", bundle.as_str()], more].concat();
    let trip = trip(guest, tools, &arguments).await;
    fs::remove_file(&bundle).with_context(|| format!("remove {bundle}"))?;
    trip
}

fn bundle(guest: &Guest, variant: &Variant) -> Result<Utf8PathBuf> {
    let path = guest.cluster().dir().join("update.bundle");
    let file = File::create(&path).with_context(|| format!("create {path}"))?;
    variant.write_bundle(&signing_key()?, BufWriter::new(file))?;
    Ok(path)
}

/// A further version that the build left.
fn further(name: &str) -> Result<Variant> {
    let folder = cache::out_dir().join("update").join(name);
    let hint = || format!("{}: cargo xtask bench without --no-build makes it", folder.display());
    Variant::from_dir(&folder).with_context(hint)
}

async fn version(guest: &Guest) -> Result<String> {
    Ok(guest.client().await?.machine().version(VersionRequest {}).await?.into_inner().version)
}

/// The EFI partition is looked at when the machine is ready, so a little later the slots are known; before, an update is
/// refused.
async fn wait_slots(guest: &Guest) -> Result<()> {
    let deadline = Instant::now() + guest.node()?.timeouts().ready();
    loop {
        let known = slots(guest).await;
        match known {
            Ok(true) => return Ok(()),
            known if Instant::now() > deadline => bail!("the slots are not known: {known:?}"),
            _ => sleep(LOOK).await,
        }
    }
}

/// Whether the running slot is known, and its version is no longer on trial.
async fn slots(guest: &Guest) -> Result<bool> {
    let status = guest.client().await?.updates().status(UpdateStatusRequest {}).await?.into_inner();
    Ok(status.slots.iter().any(|slot| slot.running && slot.blessed && !slot.entry.is_empty()))
}
