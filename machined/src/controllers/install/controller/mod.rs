//! Runs installations, and tells how far they are.
//!
//! Reads nothing but what it is asked for; owns `InstallStatus`, whose first words [`Installs::start`] writes in its name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use corten_controller::{Context, Controller, Next};
use corten_resources::install::{InstallPhase, InstallStatus};
use corten_resources::runtime::MACHINE;
use corten_store::Kind as _;
use corten_sys::process::Reaper;
use tokio::sync::{Notify, oneshot, watch};

use super::engine::{Chosen, Engine, Finish, GivenUp, Job, Moment};
use super::meter::Meter;
use super::{BoxError, Installs, state};
use crate::errors::chain;
use crate::node::{Power, PowerRequest};

/// Of the controller, which owns the status.
pub(super) const NAME: &str = "install/install";
/// Between two updates of the status.
const TELL: Duration = Duration::from_millis(500);
/// A disk that takes nothing for so long is not waited for. Its own timeouts are shorter: 30 s for a SCSI command.
const STALLED: Duration = Duration::from_secs(120);
const HINT: &str = "apply the config again to start anew, or name another disk: osctl disks, osctl dmesg";

/// The controller.
#[derive(Debug)]
pub struct Installation {
    installs: Installs,
    reaper: Reaper,
    power: Power,
    medium: Option<String>,
    stalled: Duration,
}

impl Installation {
    /// Installs what `installs` asks for, when the system runs from `medium`; then asks `power` for a reboot.
    pub fn new(installs: Installs, reaper: Reaper, power: Power, medium: Option<String>) -> Self {
        Self { installs, reaper, power, medium, stalled: STALLED }
    }

    async fn install(&self, ctx: &Context, job: Job, status: &mut InstallStatus) -> Result<(), BoxError> {
        let Job { text, chosen } = job;
        let disk = chosen.disk.clone();
        let (moments, seen) = watch::channel(Moment { step: "begin", done: 0, total: 0 });
        let engine = self.installs.engine();
        let written = on_thread(move || write(engine.as_ref(), &chosen, &moments));
        let finish = self.follow(ctx, written, seen, status).await?;
        tell(ctx, status, Moment { step: "state", done: 0, total: 0 }, (0, 0))?;
        state::make(&self.reaper, disk, text).await?;
        // A disk that boots without its config would be a machine that nobody can tell from a new one.
        tell(ctx, status, Moment { step: "finish", done: 0, total: 0 }, (0, 0))?;
        state::bounded(finish).await?
    }

    /// Tells how far it is until it ends, or stands still.
    async fn follow(
        &self,
        ctx: &Context,
        written: oneshot::Receiver<Result<Finish, BoxError>>,
        seen: watch::Receiver<Moment>,
        status: &mut InstallStatus,
    ) -> Result<Finish, BoxError> {
        let mut written = std::pin::pin!(written);
        let (mut meter, mut last, mut moved) = (Meter::new(Instant::now()), *seen.borrow(), Instant::now());
        loop {
            if let Ok(result) = tokio::time::timeout(TELL, &mut written).await {
                return result.map_err(|_| "the installer ended without a word")?;
            }
            let (moment, now) = (*seen.borrow(), Instant::now());
            if moment != last {
                (last, moved) = (moment, now);
            }
            if now.saturating_duration_since(moved) >= self.stalled {
                // `seen` is dropped, by which the thread learns that it has to end.
                let seconds = self.stalled.as_secs();
                return Err(
                    format!("{} took nothing for {seconds} s in step {}", status.disk, last.step).into()
                );
            }
            let rate = meter.look(now, moment.step, moment.done, moment.total);
            tell(ctx, status, moment, rate)?;
        }
    }
}

impl Controller for Installation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[InstallStatus::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(self.installs.asked())
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let Some(medium) = &self.medium else { return Ok(Next::Wait) };
        let Some((job, busy)) = self.installs.take() else {
            if ctx.get::<InstallStatus>(MACHINE).is_none() {
                let status = InstallStatus { medium: medium.clone(), ..InstallStatus::default() };
                ctx.put::<InstallStatus>(MACHINE, status)?;
            }
            return Ok(Next::Wait);
        };
        let mut status = begun(medium, &job);
        ctx.put::<InstallStatus>(MACHINE, status.clone())?;
        tracing::info!(disk = status.disk, "installing");
        let outcome = self.install(ctx, job, &mut status).await;
        let status = ended(status, outcome);
        let finished = status.phase == InstallPhase::Finished;
        if finished {
            tracing::info!(disk = status.disk, "installed");
        } else {
            tracing::error!(disk = status.disk, error = status.error, "the installation failed");
        }
        ctx.put::<InstallStatus>(MACHINE, status)?;
        // Only now: the next one has its own status from its start on.
        drop(busy);
        if finished {
            self.power.ask(PowerRequest::default());
        }
        Ok(Next::Wait)
    }
}

/// The status when it begins.
pub(super) fn begun(medium: &str, job: &Job) -> InstallStatus {
    InstallStatus {
        phase: InstallPhase::Running,
        medium: medium.to_owned(),
        disk: job.chosen.disk.path.to_string(),
        step: "begin".into(),
        message: words("begin").into(),
        ..InstallStatus::default()
    }
}

/// The status after it.
fn ended(status: InstallStatus, outcome: Result<(), BoxError>) -> InstallStatus {
    let status = InstallStatus { rate: 0, remaining_ms: 0, ..status };
    match outcome {
        Ok(()) => InstallStatus {
            phase: InstallPhase::Finished,
            step: "finished".into(),
            message: "installed; the machine restarts from the disk".into(),
            ..status
        },
        Err(error) => InstallStatus {
            phase: InstallPhase::Failed,
            message: format!("failed: {}", chain(error.as_ref())),
            error: chain(error.as_ref()),
            hint: HINT.into(),
            ..status
        },
    }
}

fn tell(
    ctx: &Context,
    status: &mut InstallStatus,
    moment: Moment,
    (rate, remaining_ms): (u64, u64),
) -> Result<(), BoxError> {
    status.step = moment.step.into();
    status.message = words(moment.step).into();
    (status.done, status.total) = (moment.done, moment.total);
    (status.rate, status.remaining_ms) = (rate, remaining_ms);
    ctx.put::<InstallStatus>(MACHINE, status.clone())?;
    Ok(())
}

/// A step for a person to read.
fn words(step: &str) -> &str {
    match step {
        "begin" => "begins",
        "mark" => "marking the disk",
        "erase" => "erasing what was on it",
        "write-root" => "writing the system",
        "write-esp" => "writing boot loader and kernel",
        "erase-meta" => "emptying META",
        "verify" => "reading back",
        "write-table" => "writing the partition table",
        "state" => "writing the config",
        "finish" => "making the disk bootable",
        other => other,
    }
}

fn write(engine: &dyn Engine, chosen: &Chosen, moments: &watch::Sender<Moment>) -> Result<Finish, BoxError> {
    engine.write(chosen, &mut |moment| moments.send(moment).map_err(|_| GivenUp))
}

/// A thread of its own: one that hangs on a disk must not take one of the runtime's. Without a thread, nobody answers.
fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (done, finished) = oneshot::channel();
    let started = std::thread::Builder::new().name("install".into()).spawn(move || {
        let _ = done.send(work()); // nobody waits when it was given up
    });
    if let Err(error) = started {
        tracing::error!(%error, "no thread for the installation");
    }
    finished
}

#[cfg(test)]
mod tests;
