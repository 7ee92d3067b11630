//! Keeps the watchdog content for as long as machined makes progress.
//!
//! A thread of its own pets it, but only while the heartbeat of the runtime moves: a process that is alive and does
//! nothing ends in a reset. A service that hangs is the supervisor's business.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corten_sys::watchdog::{DEVICES, Watchdog};
use tracing::warn;

use super::fatal::say;
use super::heartbeat::{Heartbeat, Pulse};

/// The board resets after this much silence. Generous: an emulated machine on a busy host stalls for seconds.
pub const TIMEOUT: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(5);

/// Stops the petting, so that a shutdown that hangs ends in a reset.
#[derive(Debug, Clone)]
pub struct WatchdogHandle(Arc<AtomicBool>);

impl WatchdogHandle {
    /// From now on nothing keeps the watchdog quiet.
    pub fn let_it_bite(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes over the watchdog that the initramfs armed, or arms the first one that appears: its driver may come later.
pub fn start(inherited: Option<RawFd>, heartbeat: Heartbeat) -> Option<WatchdogHandle> {
    let stopped = Arc::new(AtomicBool::new(false));
    let handle = WatchdogHandle(Arc::clone(&stopped));
    let watchdog = inherited.and_then(|fd| Watchdog::inherit(fd).ok());
    let mut keeper = Keeper { watchdog, pulse: Pulse::new(Instant::now()), told: false };
    let spawned = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            keeper.look(&heartbeat);
            std::thread::sleep(INTERVAL);
        }
        // Dropping it now would leave it armed as well, but some drivers complain on the console.
        std::mem::forget(keeper.watchdog);
    });
    spawned.inspect_err(|error| warn!(%error, "cannot start the watchdog's thread")).ok().map(|_| handle)
}

/// Arms the first watchdog that lets itself be armed.
pub fn arm() -> Option<Watchdog> {
    DEVICES.iter().find_map(|device| Watchdog::arm((*device).into(), TIMEOUT).ok())
}

struct Keeper {
    watchdog: Option<Watchdog>,
    pulse: Pulse,
    /// The console knows.
    told: bool,
}

impl Keeper {
    fn look(&mut self, heartbeat: &Heartbeat) {
        if !self.pulse.is_well(heartbeat.count(), Instant::now()) {
            if !std::mem::replace(&mut self.told, true) {
                // Not by `tracing`: its writer may wait for what is locked.
                say("corten: machined makes no progress; the watchdog will reset the machine");
            }
            return;
        }
        self.told = false;
        match self.watchdog.as_ref().map(Watchdog::pet) {
            Some(Ok(())) => {}
            Some(Err(error)) => warn!(%error, "cannot pet the watchdog"),
            None => self.watchdog = arm(),
        }
    }
}
