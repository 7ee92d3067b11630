//! Drivers in the initramfs: those of the devices that are there, beside the modules that every root needs.
//!
//! Each module takes tens of milliseconds, of which most go into checking its signature. So the likely disk drivers come
//! first, and the others only when the root is not found with them: the real root loads what is left. What every root
//! needs is loaded meanwhile, on two threads.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use corten_sys::module::{ModuleError, Modules};
use corten_sys::uevent;

use super::InitramfsError;

/// What the verified device takes. The order matters: dm-verity asks for the hash when the device is made, and then keeps
/// the implementation that it got.
const VERITY: &[(&str, Need)] = &[("sha256-ssse3", Need::Helpful), ("dm-verity", Need::Required)];
/// What its file system takes.
const FILE_SYSTEM: &[(&str, Need)] = &[("squashfs", Need::Required)];
/// Drivers of disks that most machines have, loaded before all others when there is a device for them.
const LIKELY_DISKS: &[&str] = &["virtio_blk", "nvme"];
/// What a root on an install medium takes beyond that; the drivers of drives and sticks come with the devices.
const MEDIUM: &[(&str, Need)] =
    &[("sr_mod", Need::Helpful), ("loop", Need::Required), ("isofs", Need::Required)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    /// Faster with it.
    Helpful,
}

/// Where the root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootOn {
    /// A partition of a disk.
    Disk,
    /// A file on an install medium.
    Medium,
}

/// Loads modules, each once.
#[derive(Debug)]
pub(super) struct Drivers {
    modules: Modules,
    tried: Mutex<BTreeSet<String>>,
    background: Vec<JoinHandle<Result<(), ModuleError>>>,
}

impl Drivers {
    /// Starts with the root's modules on threads of their own, and the drivers of likely disks. `present` are the drivers
    /// of the devices that are there.
    pub(super) fn start(
        modules: Modules,
        present: &BTreeSet<String>,
        root: RootOn,
    ) -> Result<Self, InitramfsError> {
        let mut background = vec![
            in_background("verity-modules", &modules, VERITY)?,
            in_background("root-modules", &modules, FILE_SYSTEM)?,
        ];
        if root == RootOn::Medium {
            background.push(in_background("medium-modules", &modules, MEDIUM)?);
        }
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
        self.background.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => Ok(result?),
            Err(panic) => Err(InitramfsError::Panic(super::message(panic.as_ref()))),
        })
    }
}

fn in_background(
    thread: &str,
    modules: &Modules,
    list: &'static [(&'static str, Need)],
) -> Result<JoinHandle<Result<(), ModuleError>>, InitramfsError> {
    let modules = modules.clone();
    let spawned = std::thread::Builder::new().name(thread.into()).spawn(move || load_list(&modules, list));
    spawned.map_err(|source| InitramfsError::Switch { step: "start a thread", source })
}

/// Modules for the devices that are there.
pub(super) fn present(modules: &Modules) -> BTreeSet<String> {
    uevent::modaliases().iter().flat_map(|alias| modules.index().resolve(alias)).collect()
}

fn load_list(modules: &Modules, list: &[(&'static str, Need)]) -> Result<(), ModuleError> {
    for (name, need) in list {
        match (modules.load(name, ""), need) {
            (Err(error), Need::Required) => return Err(error),
            _ => continue,
        }
    }
    Ok(())
}
