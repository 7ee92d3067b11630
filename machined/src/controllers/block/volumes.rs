//! Keeps STATE and EPHEMERAL mounted, and tells about disks.
//!
//! Reads nothing but the machine; owns `DiskStatus`, `VolumeStatus` and `MountStatus`. A volume that fails is tried again
//! at leisure: a disk may be replaced, or freed of what was on it. On an install medium there are no volumes, and no disk
//! is written to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corten_constants::{labels, paths};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::{DiskStatus, MountStatus, VolumePhase, VolumeStatus};
use corten_store::Kind as _;
use corten_sys::block::gpt::{self, Reader};
use corten_sys::block::{self, Disk};
use corten_sys::mount;
use corten_sys::process::Reaper;
use tracing::info;

use super::disks::{self, Found};
use super::volume::{VOLUMES, Volume, bring_up};
use super::{plan, table};
use crate::boot::fatal::say;
use crate::boot::machine_id;
use crate::boot::timeline::Timeline;
use crate::errors::chain;
use crate::node::StartedFrom;

/// Until the next look at a disk that is not there or not right.
const RETRY: Duration = Duration::from_secs(10);
/// Until the next look at the disks when all is well.
const REFRESH: Duration = Duration::from_secs(60);

/// The controller.
#[derive(Debug)]
pub struct Volumes {
    reaper: Reaper,
    timeline: Timeline,
    started_from: StartedFrom,
    reader: Arc<Reader>,
}

impl Volumes {
    /// When it is not known which disk the root is on, it is the one with our root slots.
    pub fn new(reaper: Reaper, timeline: Timeline, started_from: StartedFrom) -> Self {
        Self { reaper, timeline, started_from, reader: Arc::default() }
    }

    async fn bring_up_all(&self, ctx: &Context, system: &Found) -> Result<(), BoxError> {
        let [state, ephemeral] = &VOLUMES;
        let (first, second) = futures::join!(self.one(ctx, state, system), self.one(ctx, ephemeral, system));
        first.and(second)
    }

    async fn one(&self, ctx: &Context, volume: &Volume, system: &Found) -> Result<(), BoxError> {
        let Some(partition) = system.partitions.iter().find(|p| p.label == volume.label) else {
            return self.fail(ctx, volume, "its partition is not in the table");
        };
        let device = block::partition_node(&system.disk, partition.number);
        let status = |phase, message: &str| VolumeStatus {
            device: device.to_string(),
            filesystem: "ext4".into(),
            size: partition.size,
            ..volume_status(volume, phase, message)
        };
        let before = ctx.get::<VolumeStatus>(volume.label);
        if before.as_ref().is_some_and(|volume| volume.spec.is_mounted()) {
            return Ok(());
        }
        let tell = |phase| drop(ctx.put::<VolumeStatus>(volume.label, status(phase, describe(phase))));
        match bring_up(volume, &device, &self.reaper, tell).await {
            Ok(formatted) => {
                let mounted = status(VolumePhase::Mounted, describe(VolumePhase::Mounted));
                ctx.put::<VolumeStatus>(volume.label, VolumeStatus { formatted, ..mounted })?;
                self.timeline.mark_once(&format!("{} mounted", volume.label));
                info!(volume = volume.label, %device, "mounted");
                Ok(())
            }
            Err(error) => {
                let message = chain(&error);
                announce(ctx, volume, &message);
                ctx.put::<VolumeStatus>(volume.label, status(VolumePhase::Failed, &message))?;
                Ok(())
            }
        }
    }

    /// Neither volume can be had.
    fn fail_all(&self, ctx: &Context, message: &str) -> Result<(), BoxError> {
        VOLUMES.iter().try_for_each(|volume| self.fail(ctx, volume, message))
    }

    fn fail(&self, ctx: &Context, volume: &Volume, message: &str) -> Result<(), BoxError> {
        if ctx.get::<VolumeStatus>(volume.label).is_some_and(|volume| volume.spec.is_mounted()) {
            return Ok(());
        }
        announce(ctx, volume, message);
        ctx.put::<VolumeStatus>(volume.label, volume_status(volume, VolumePhase::Failed, message))?;
        Ok(())
    }

    async fn tell_of_disks(&self, ctx: &Context, found: Vec<Found>) -> Result<(), BoxError> {
        let looked = tokio::task::spawn_blocking(|| {
            let with_content = found.into_iter().map(|one| (one.content(), one));
            with_content.collect::<Vec<_>>()
        });
        let status = |(content, one): (String, Found)| {
            (one.disk.name.clone(), disks::status(&one, content, self.is_system(&one)))
        };
        Ok(ctx.sync_owned::<DiskStatus>(looked.await?.into_iter().map(status).collect())?)
    }

    fn is_system(&self, found: &Found) -> bool {
        let StartedFrom { disk, medium } = &self.started_from;
        match medium.as_ref().or(disk.as_ref()) {
            Some(name) => disks::holds(&found.disk.name, name),
            None => found.partitions.iter().any(|p| p.label == labels::ROOT_A || p.label == labels::ROOT_B),
        }
    }
}

impl Controller for Volumes {
    fn name(&self) -> &'static str {
        "block/volumes"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[DiskStatus::NAME, VolumeStatus::NAME, MountStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let reader = Arc::clone(&self.reader);
        let mut found = tokio::task::spawn_blocking(move || disks::find(&reader)).await?;
        if self.started_from.medium.is_some() {
            // An installed system may be on the disks, or anything else: they are looked at, and nothing more. The
            // machine's identity is on none of them, and lasts until the reboot.
            tokio::task::spawn_blocking(|| machine_id::ensure(paths::RUN.into(), "/etc".into())).await??;
            return self.tell_of_disks(ctx, found).await.map(|()| Next::After(RETRY));
        }
        if let Some(system) = found.iter_mut().find(|found| self.is_system(found)) {
            match tokio::task::spawn_blocking({
                let disk = system.disk.clone();
                move || complete(disk)
            })
            .await?
            {
                Ok(completed) => {
                    *system = completed;
                    let system = system.clone();
                    self.bring_up_all(ctx, &system).await?;
                }
                Err(message) => self.fail_all(ctx, &message)?,
            }
        } else {
            self.fail_all(ctx, "the system disk was not found")?;
        }
        self.tell_of_disks(ctx, found).await?;
        ctx.sync_owned::<MountStatus>(mounts())?;
        let mounted =
            |volume: &Volume| ctx.get::<VolumeStatus>(volume.label).is_some_and(|v| v.spec.is_mounted());
        Ok(Next::After(if VOLUMES.iter().all(mounted) { REFRESH } else { RETRY }))
    }
}

/// On the console once, not at every retry.
fn announce(ctx: &Context, volume: &Volume, message: &str) {
    let told = ctx.get::<VolumeStatus>(volume.label).is_some_and(|before| before.spec.message == message);
    if !told {
        say(&format!("corten: volume {} cannot be used: {message}", volume.label));
    }
}

/// Adds what the system disk lacks, in the table and in the kernel.
pub(super) fn complete(disk: Disk) -> Result<Found, String> {
    // A disk that could not be read would look as if it lacked everything.
    let read = || gpt::read(&disk.path, disk.sector_size).map_err(|error| chain(&error));
    let mut partitions = read()?;
    let missing = plan::partitions(disk.size, &partitions).map_err(|error| chain(&error))?;
    if !missing.is_empty() {
        table::add(&disk.path, disk.sector_size, &missing).map_err(|error| chain(&error))?;
        partitions = read()?;
    }
    for partition in &partitions {
        if !block::has_partition(&disk, partition.number) {
            block::announce_partition(&disk, partition.number, partition.start, partition.size)
                .map_err(|error| format!("tell the kernel about partition {}: {error}", partition.label))?;
        }
    }
    Ok(Found { disk, partitions, failure: None })
}

fn volume_status(volume: &Volume, phase: VolumePhase, message: &str) -> VolumeStatus {
    VolumeStatus {
        label: volume.label.into(),
        phase,
        mount_point: volume.mount_point.into(),
        message: message.into(),
        ..VolumeStatus::default()
    }
}

fn describe(phase: VolumePhase) -> &'static str {
    match phase {
        VolumePhase::Waiting => "waits for its disk",
        VolumePhase::Partitioning => "its partition is being made",
        VolumePhase::Formatting => "its file system is being made",
        VolumePhase::Checking => "its file system is being checked",
        VolumePhase::Mounted => "mounted",
        VolumePhase::Failed => "cannot be used",
        VolumePhase::Unmounted => "unmounted",
    }
}

/// The root and the volumes; what pods mount is theirs.
fn mounts() -> BTreeMap<String, MountStatus> {
    let ours = |target: &str| target == "/" || VOLUMES.iter().any(|volume| volume.mount_point == target);
    let table = mount::table().unwrap_or_default().into_iter().filter(|entry| ours(entry.target.as_str()));
    let status = |entry: mount::MountEntry| {
        let mount::MountEntry { target, fstype, source, options } = entry;
        (target.into_string(), MountStatus { source, filesystem: fstype, options })
    };
    table.map(status).collect()
}
