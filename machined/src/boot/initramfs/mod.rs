//! PID 1 of the initramfs: reaches the verified root and becomes machined.
//!
//! ```text
//! /proc /sys /dev /run ─┬─ watchdog                               ┌────────────────────── hand over ─┐
//!                       ├─ drivers of the devices that are there ─┼─ find image ─ verity ─ mount ─ switch ─ exec
//!                       └─ dm-verity, squashfs, sha256 ───────────┘
//! ```
//! The root hash on the kernel command line says which partition, and vouches for every byte of it. Nothing is read
//! from the disk unverified but the partition table and the two superblocks, which are checked before they are used.
//! With `corten.medium=iso` the image is a file on the install medium, and no disk is touched.

mod drivers;
mod guard;
pub mod medium;
mod root;
mod search;
mod superblock;
mod switch;

pub(crate) use root::describe;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use camino::Utf8PathBuf;
use corten_sys::dm::DmError;
use corten_sys::module::{ModuleError, Modules};
use corten_sys::mount::MountError;

use super::cmdline::{Cmdline, RootHash, RootHashError};
use super::handover::Handover;
use super::{fatal, mounts};
use drivers::{Drivers, RootOn};
use guard::Guard;
use search::Search;

/// How long the likely disks have, before the drivers of others are loaded.
const PATIENCE: Duration = Duration::from_millis(400);

/// Why the root cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// A pseudo file system.
    #[error("prepare the initramfs")]
    Mounts(#[from] MountError),
    /// The command line cannot be read.
    #[error("read the kernel command line")]
    Cmdline(#[source] io::Error),
    /// It names no root.
    #[error("choose a root")]
    RootHash(#[from] RootHashError),
    /// Drivers.
    #[error("load drivers")]
    Modules(#[from] ModuleError),
    /// No partition of that name within the deadline.
    #[error("no partition has the UUID {uuid} of this kernel's root image, after {seconds} seconds; {seen}")]
    NoRoot {
        /// UUID that derives from the root hash.
        uuid: String,
        /// How long we looked.
        seconds: u64,
        /// What there is instead.
        seen: String,
    },
    /// No medium of ours within the deadline.
    #[error("no install medium labelled {label}, after {seconds} seconds; {seen}")]
    NoMedium {
        /// What its file system is called.
        label: &'static str,
        /// How long we looked.
        seconds: u64,
        /// What there is instead.
        seen: String,
    },
    /// A kind of medium that this version does not know.
    #[error("corten.medium={0} on the kernel command line is not known; it can be iso")]
    UnknownMedium(String),
    /// Its file system is damaged.
    #[error("mount the install medium {device}")]
    MountMedium {
        /// Device node.
        device: String,
        /// Cause.
        source: MountError,
    },
    /// The root image on it.
    #[error("make a device of {image}")]
    AttachImage {
        /// The file.
        image: String,
        /// Cause.
        source: io::Error,
    },
    /// The image is another one.
    #[error("{image} holds another root image than this kernel's: the top of its tree has the hash {hash}")]
    WrongHash {
        /// Device node.
        image: String,
        /// What it has.
        hash: String,
    },
    /// The partition does not hold a root image.
    #[error("{partition} holds no root image: {reason}")]
    NotAnImage {
        /// Device node.
        partition: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The partition cannot be read.
    #[error("read {partition}")]
    Read {
        /// Device node.
        partition: String,
        /// Cause.
        source: io::Error,
    },
    /// The device-mapper refused.
    #[error("verify the root")]
    Verity(#[from] DmError),
    /// Its content does not match the root hash, or the file system is damaged.
    #[error("mount the root image of {partition}: it is damaged, or belongs to another kernel")]
    MountRoot {
        /// Device node of the partition.
        partition: String,
        /// Cause.
        source: MountError,
    },
    /// The last step.
    #[error("{step}")]
    Switch {
        /// What was being done.
        step: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// A bug.
    #[error("init panicked: {0}")]
    Panic(String),
}

/// Runs as `/init`. It ends as machined, or in a reboot.
pub fn main() -> ! {
    // The message goes to the console by `fatal`, once.
    std::panic::set_hook(Box::new(|_| {}));
    let error = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Err(error)) => error,
        Ok(Ok(never)) => match never {},
        Err(panic) => InitramfsError::Panic(message(panic.as_ref())),
    };
    fatal::fatal(&error)
}

fn run() -> Result<std::convert::Infallible, InitramfsError> {
    let mut handover = Handover::default();
    for mount in mounts::base() {
        mount.mount()?;
    }
    handover.timeline.mark("init");
    let cmdline = Cmdline::read().map_err(InitramfsError::Cmdline)?;
    let hash = cmdline.root_hash()?;

    let modules = Modules::open()?;
    let present = drivers::present(&modules);
    let guard = Guard::start(&modules, &present);
    #[cfg(feature = "faults")]
    crate::faults::in_initramfs();
    let root = root_on(&cmdline)?;
    let drivers = Drivers::start(modules, &present, root)?;
    let image = match root {
        RootOn::Disk => find_partition(&hash, &drivers, &guard, &mut handover)?,
        RootOn::Medium => find_medium(&drivers, &guard, &mut handover)?,
    };
    drivers.join()?;
    guard.pet();
    let image = if root == RootOn::Medium { medium::attach(&image)? } else { image };
    root::mount(&hash, &image)?;
    handover.timeline.mark("root mounted");

    // By now the watchdog's driver had its time. A machine without one goes on.
    handover.watchdog = guard.hand_over();
    handover.timeline.mark("root switched");
    switch::into(root::SYSROOT.into(), &handover)
}

fn root_on(cmdline: &Cmdline) -> Result<RootOn, InitramfsError> {
    match cmdline.get("corten.medium") {
        None => Ok(RootOn::Disk),
        Some("iso") => Ok(RootOn::Medium),
        Some(other) => Err(InitramfsError::UnknownMedium(other.to_owned())),
    }
}

fn find_partition(
    hash: &RootHash,
    drivers: &Drivers,
    guard: &Guard,
    handover: &mut Handover,
) -> Result<Utf8PathBuf, InitramfsError> {
    let found = root::find(hash, &Search { drivers, guard, patience: PATIENCE })?;
    handover.timeline.mark("root partition found");
    handover.root_disk = Some(found.disk.name.clone());
    handover.root_partition = Some(found.name());
    Ok(found.node())
}

fn find_medium(
    drivers: &Drivers,
    guard: &Guard,
    handover: &mut Handover,
) -> Result<Utf8PathBuf, InitramfsError> {
    // A drive is never a likely disk.
    let device = medium::find(&Search { drivers, guard, patience: Duration::ZERO })?;
    handover.timeline.mark("install medium found");
    handover.medium = device.file_name().map(str::to_owned);
    Ok(device)
}

/// Text of a panic.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_medium_is_looked_for() {
        assert_eq!(root_on(&Cmdline::parse("quiet")).unwrap(), RootOn::Disk);
        assert_eq!(root_on(&Cmdline::parse("corten.medium=iso")).unwrap(), RootOn::Medium);
        let error = root_on(&Cmdline::parse("corten.medium=floppy")).unwrap_err();
        assert!(error.to_string().contains("corten.medium=floppy"), "{error}");
    }
}
