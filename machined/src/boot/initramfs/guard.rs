//! The watchdog of the initramfs: armed first, petted where the search makes progress, handed over to machined.
//!
//! A thread of its own loads the driver and arms, since a driver may take its time. Nobody pets by the clock: an init that
//! hangs ends in a reset one timeout later.

use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use corten_sys::module::Modules;
use corten_sys::watchdog::Watchdog;

use crate::boot::{pstore, watchdog};

/// Drivers of hardware watchdogs, the first that is there is taken.
const HARDWARE: &[&str] = &["i6300esb", "iTCO_wdt", "sp5100_tco", "wdat_wdt"];
/// The kernel's own, when the machine has none. It panics, which leaves the kernel's log behind, and then restarts.
const SOFT: (&str, &str) = ("softdog", "soft_panic=1");
/// How long the change of roots waits for the driver.
const HAND_OVER: Duration = Duration::from_secs(2);

/// The watchdog, once it is armed.
#[derive(Debug)]
pub(super) struct Guard {
    armed: Mutex<Option<Watchdog>>,
    arriving: Mutex<Receiver<Option<Watchdog>>>,
}

impl Guard {
    /// Starts to arm.
    pub(super) fn start(modules: &Modules, present: &BTreeSet<String>) -> Self {
        let (arrived, arriving) = sync_channel(1);
        let modules = modules.clone();
        let drivers: Vec<_> = HARDWARE.iter().filter(|name| present.contains(**name)).copied().collect();
        // Without the thread there is no watchdog yet, and machined arms the first that appears.
        let _ = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            let _ = arrived.send(arm(&modules, &drivers));
            // From here on a kernel that panics leaves its last words; nobody waits for this one.
            let _ = modules.load(pstore::EFI.0, pstore::EFI.1);
        });
        Self { armed: Mutex::default(), arriving: Mutex::new(arriving) }
    }

    /// Says that init makes progress.
    pub(super) fn pet(&self) {
        let mut armed = lock(&self.armed);
        if armed.is_none() {
            *armed = lock(&self.arriving).try_recv().ok().flatten();
        }
        // One that cannot be petted bites, which is what it is for.
        let _ = armed.as_ref().map(Watchdog::pet);
    }

    /// Gives the armed watchdog to the program after this one; `None` when there is none in time.
    pub(super) fn hand_over(&self) -> Option<RawFd> {
        let arriving = lock(&self.arriving);
        let armed = lock(&self.armed).take();
        let armed = armed.or_else(|| arriving.recv_timeout(HAND_OVER).ok().flatten());
        // The change of roots ends the thread, which still has to load what keeps last words: it hangs up when it is done.
        let late = arriving.recv_timeout(HAND_OVER).ok().flatten();
        let armed = armed.or(late)?;
        let _ = armed.pet();
        armed.into_inheritable().ok()
    }
}

fn arm(modules: &Modules, drivers: &[&str]) -> Option<Watchdog> {
    let load = |name: &str, parameters| modules.load(name, parameters).is_ok();
    let hardware = drivers.iter().any(|name| load(name, ""));
    let armed = if hardware { watchdog::arm() } else { None };
    armed.or_else(|| {
        load(SOFT.0, SOFT.1);
        watchdog::arm()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
