//! Orderly reboot and power off, which always ends.
//!
//! ```text
//! services ─ other processes (TERM, KILL) ─ file systems ─ disks ─ wipe, when asked ─ reboot(2)
//!     └───────────────────── every step has a deadline ─────────────────────┘
//! ```
//! A thread of its own calls reboot(2) when the total deadline is over, whatever the rest is waiting for; should even
//! that hang, nobody pets the watchdog any more.

mod filesystems;
mod processes;
mod wipe;

use std::convert::Infallible;
use std::time::Duration;

use camino::Utf8Path;
use corten_supervisor::{LogStore, SupervisorHandle};
use corten_sys::dm::DeviceMapper;
use corten_sys::reboot::{self, Ending};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::boot::fatal::say;
use crate::boot::watchdog::WatchdogHandle;
use crate::node::{PowerAction, PowerRequest, WipePlan};

pub use processes::{Survivors, end_all};

/// For the whole of it.
const TOTAL: Duration = Duration::from_secs(25);
/// For services, in the order of their dependencies.
const SERVICES: Duration = Duration::from_secs(6);
/// For the answer to whoever asked, when nothing else is waited for.
const ANSWER: Duration = Duration::from_secs(1);
/// For containers and whatever else runs, to end by themselves, and then to be gone.
const TERMINATE: Duration = Duration::from_millis(1500);
const KILL: Duration = Duration::from_secs(2);
/// For file systems, which write back what they hold.
const UNMOUNT: Duration = Duration::from_secs(6);
const SYNC: Duration = Duration::from_secs(4);

/// What a shutdown takes down.
#[derive(Debug)]
pub struct Parts {
    /// Services.
    pub supervisor: SupervisorHandle,
    /// Log files keep EPHEMERAL busy.
    pub logs: LogStore,
    /// Stops being petted at the end.
    pub watchdog: Option<WatchdogHandle>,
}

/// Takes the machine down. It is for PID 1 only.
pub async fn run(request: PowerRequest, parts: Parts) -> Infallible {
    let ending = ending(request.action);
    say(match ending {
        Ending::Reboot => "corten: rebooting",
        Ending::PowerOff | Ending::Halt => "corten: powering off",
    });
    let wipe = match request.wipe {
        Some(plan) => Some(wipe::Wipe::prepare(plan).await),
        None => None,
    };
    let extra = wipe.as_ref().map(wipe::Wipe::budget).unwrap_or_default();
    enforce(ending, TOTAL + extra, parts.watchdog.clone());
    if request.force && wipe.is_none() {
        // It lets open calls finish before it ends.
        parts.supervisor.stop_and_wait("apid", ANSWER).await;
        end_now(ending, &parts).await;
    }
    let late = parts.supervisor.stop_all(SERVICES).await;
    if !late.is_empty() {
        warn!(services = late.join(" "), "services did not stop in time");
    }
    let survivors = end_all(TERMINATE, KILL).await;
    if survivors.count > 0 {
        warn!(processes = survivors.names.join(" "), "processes could not be killed");
    }
    parts.logs.stop_persisting();
    bounded(UNMOUNT, filesystems::unmount_all).await;
    bounded(SYNC, release_devices).await;
    if let Some(wipe) = wipe {
        wipe.run().await;
    }
    end_now(ending, &parts).await
}

/// Erases what is asked for, as the shutdown does. Nothing may use it any more.
pub async fn erase(plan: WipePlan) {
    wipe::Wipe::prepare(plan).await.run().await;
}

/// Goes on with what a shutdown began to erase and did not end. Tells whether it is over: on a disk that hangs, something
/// may still be erased later.
pub async fn erase_partition(device: &Utf8Path, label: &str) -> bool {
    wipe::Wipe::of_partition(device, label).await.run_unlocked().await
}

fn ending(action: PowerAction) -> Ending {
    match action {
        PowerAction::Reboot => Ending::Reboot,
        PowerAction::PowerOff => Ending::PowerOff,
    }
}

/// Writes back and ends.
async fn end_now(ending: Ending, parts: &Parts) -> Infallible {
    bounded(SYNC, reboot::sync).await;
    if let Some(watchdog) = &parts.watchdog {
        watchdog.let_it_bite();
    }
    loop {
        let error = reboot::now(ending).err();
        warn!(?error, "the kernel did not go down");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Ends the machine after `limit`, unless it is down by then.
fn enforce(ending: Ending, limit: Duration, watchdog: Option<WatchdogHandle>) {
    let started = std::thread::Builder::new().name("deadline".into()).spawn(move || {
        std::thread::sleep(limit);
        say("corten: the shutdown took too long and is cut short");
        if let Some(watchdog) = watchdog {
            watchdog.let_it_bite();
        }
        loop {
            let _ = reboot::now(ending);
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    if let Err(error) = started {
        warn!(%error, "the shutdown has no deadline");
    }
}

/// Runs something that may hang on a thread of its own, and goes on without it after `limit`.
async fn bounded(limit: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, finished) = tokio::sync::oneshot::channel();
    // Not the runtime's pool of blocking threads: it may be full of what hangs.
    let started = std::thread::Builder::new().name("shutdown".into()).spawn(move || {
        work();
        let _ = done.send(());
    });
    if started.is_err() || timeout(limit, finished).await.is_err() {
        warn!("a step of the shutdown did not end in time");
    }
}

/// The root's own device stays busy; others must not keep a disk from being switched off cleanly.
fn release_devices() {
    let Ok(mapper) = DeviceMapper::open() else { return };
    for name in mapper.list().unwrap_or_default() {
        if mapper.remove(&name).is_ok() {
            info!(device = %name, "removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_step_that_hangs_is_left_behind() {
        let start = Instant::now();
        bounded(Duration::from_millis(50), || std::thread::sleep(Duration::from_secs(30))).await;
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_steps_fit_into_the_whole() {
        assert!(SERVICES + TERMINATE + KILL + UNMOUNT + SYNC + SYNC < TOTAL);
    }
}
