//! Drivers in the initramfs: those of the devices that are there, beside the modules that every root needs.
//!
//! Each module takes tens of milliseconds, of which most go into checking its signature. So the likely disk drivers come
//! first, and the others only when the root is not found with them: the real root loads what is left.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use corten_sys::module::{ModuleError, Modules};
use corten_sys::uevent;

use super::InitramfsError;

/// What a root file system takes, whatever disk it is on. The order matters: dm-verity asks for the hash when the
/// device is made, and then keeps the implementation that it got.
const ROOT_MODULES: &[(&str, Need)] =
    &[("sha256-ssse3", Need::Helpful), ("dm-verity", Need::Required), ("squashfs", Need::Required)];
/// Drivers of disks that most machines have, loaded before all others when there is a device for them.
const LIKELY_DISKS: &[&str] = &["virtio_blk", "nvme"];
/// Drivers that are worth having early, but not worth waiting for.
const WATCHDOGS: &[&str] = &["i6300esb"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    /// Faster with it.
    Helpful,
}

/// Loads modules, each once.
pub(super) struct Drivers {
    modules: Modules,
    tried: Mutex<BTreeSet<String>>,
    background: JoinHandle<Result<(), ModuleError>>,
}

impl Drivers {
    /// Starts with the root's modules on a thread of their own, and the drivers of likely disks.
    pub(super) fn start() -> Result<Self, InitramfsError> {
        let modules = Modules::open()?;
        let present = present(&modules);
        let watchdogs: Vec<_> = WATCHDOGS.iter().copied().filter(|name| present.contains(*name)).collect();
        let own = modules.clone();
        let background = std::thread::Builder::new()
            .name("root-modules".into())
            .spawn(move || load_root_modules(&own, &watchdogs))
            .map_err(|source| InitramfsError::Switch { step: "start a thread", source })?;
        let drivers = Self { modules, tried: Mutex::default(), background };
        LIKELY_DISKS.iter().filter(|name| present.contains(**name)).for_each(|name| drivers.load(name));
        Ok(drivers)
    }

    /// Whether there is no disk of a likely kind.
    pub(super) fn found_none(&self) -> bool {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Loads the drivers of all devices that are there now. A bus driver makes further devices appear.
    pub(super) fn load_present(&self) {
        present(&self.modules).iter().for_each(|module| self.load(module));
    }

    /// Loads the driver of one device, if we have it.
    pub(super) fn load_alias(&self, alias: &str) {
        self.modules.index().resolve(alias).iter().for_each(|module| self.load(module));
    }

    fn load(&self, module: &str) {
        let new = self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(module.to_owned());
        if new {
            // A driver that refuses its device is told by the kernel; the root may be on another one.
            let _ = self.modules.load(module, "");
        }
    }

    /// Waits for the root's modules. Loading is bounded by the kernel.
    pub(super) fn join(self) -> Result<(), InitramfsError> {
        match self.background.join() {
            Ok(result) => Ok(result?),
            Err(panic) => Err(InitramfsError::Panic(super::message(panic.as_ref()))),
        }
    }
}

/// Modules for the devices that are there.
fn present(modules: &Modules) -> BTreeSet<String> {
    uevent::modaliases().iter().flat_map(|alias| modules.index().resolve(alias)).collect()
}

fn load_root_modules(modules: &Modules, watchdogs: &[&str]) -> Result<(), ModuleError> {
    for (name, need) in ROOT_MODULES {
        match (modules.load(name, ""), need) {
            (Err(error), Need::Required) => return Err(error),
            _ => continue,
        }
    }
    for name in watchdogs {
        let _ = modules.load(name, "");
    }
    Ok(())
}
