//! Drivers in the initramfs: those of the devices that are there, beside the modules that every root needs.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::JoinHandle;

use corten_sys::module::{ModuleError, Modules};
use corten_sys::uevent;

use super::InitramfsError;

/// What a root file system takes, whatever disk it is on. The order matters: dm-verity asks for the hash when the
/// device is made, and then keeps the implementation that it got.
const ROOT_MODULES: &[(&str, Need)] =
    &[("sha256-ssse3", Need::Helpful), ("dm-verity", Need::Required), ("squashfs", Need::Required)];

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
    root_modules: JoinHandle<Result<(), ModuleError>>,
}

impl Drivers {
    /// Starts with the root's modules on a thread of their own, and the drivers of all devices here.
    pub(super) fn start() -> Result<Self, InitramfsError> {
        let modules = Modules::open()?;
        let for_root = modules.clone();
        let root_modules = std::thread::Builder::new()
            .name("root-modules".into())
            .spawn(move || load_root_modules(&for_root))
            .map_err(|source| InitramfsError::Switch { step: "start a thread", source })?;
        let drivers = Self { modules, tried: Mutex::default(), root_modules };
        drivers.load_present();
        Ok(drivers)
    }

    /// Loads the drivers of all devices that are there now. A bus driver makes further devices appear.
    pub(super) fn load_present(&self) {
        for alias in uevent::modaliases() {
            self.load_alias(&alias);
        }
    }

    /// Loads the driver of one device, if we have it.
    pub(super) fn load_alias(&self, alias: &str) {
        for module in self.modules.index().resolve(alias) {
            let new = self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(module.clone());
            if new {
                // A driver that refuses its device is told by the kernel; the root may be on another one.
                let _ = self.modules.load(&module, "");
            }
        }
    }

    /// Waits for the root's modules. Loading is bounded by the kernel, and the watchdog bounds the kernel.
    pub(super) fn join_root_modules(self) -> Result<(), InitramfsError> {
        match self.root_modules.join() {
            Ok(result) => Ok(result?),
            Err(panic) => Err(InitramfsError::Panic(super::message(panic.as_ref()))),
        }
    }
}

fn load_root_modules(modules: &Modules) -> Result<(), ModuleError> {
    for (name, need) in ROOT_MODULES {
        match (modules.load(name, ""), need) {
            (Err(error), Need::Required) => return Err(error),
            _ => continue,
        }
    }
    Ok(())
}
