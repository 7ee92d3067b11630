//! Keeps the watchdog content for as long as this process schedules threads.
//!
//! A thread of its own pets it: it must not depend on the runtime's queue, only on the process being alive. What the
//! watchdog guards against is a machine that hangs; a service that hangs is the supervisor's business.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use corten_sys::watchdog::{DEVICES, Watchdog};
use tracing::warn;

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
pub fn start(inherited: Option<RawFd>) -> Option<WatchdogHandle> {
    let stopped = Arc::new(AtomicBool::new(false));
    let handle = WatchdogHandle(Arc::clone(&stopped));
    let mut watchdog = inherited.and_then(|fd| Watchdog::inherit(fd).ok());
    let spawned = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            match watchdog.as_ref().map(Watchdog::pet) {
                Some(Ok(())) => {}
                Some(Err(error)) => warn!(%error, "cannot pet the watchdog"),
                None => watchdog = arm(),
            }
            std::thread::sleep(INTERVAL);
        }
        // Dropping it now would leave it armed as well, but some drivers complain on the console.
        std::mem::forget(watchdog);
    });
    spawned.inspect_err(|error| warn!(%error, "cannot start the watchdog's thread")).ok().map(|_| handle)
}

/// Arms the first watchdog that lets itself be armed.
pub fn arm() -> Option<Watchdog> {
    DEVICES.iter().find_map(|device| Watchdog::arm((*device).into(), TIMEOUT).ok())
}
