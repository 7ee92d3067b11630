//! PID 1 of the initramfs: reaches the verified root and becomes machined.
//!
//! ```text
//! /proc /sys /dev /run ─┬─ drivers of the devices that are there ─┬─ find partition ─ verity ─ mount ─ switch ─ exec
//!                       └─ dm-verity, squashfs, sha256 ───────────┘
//! ```
//! The root hash on the kernel command line says which partition, and vouches for every byte of it. Nothing is read
//! from the disk unverified but the partition table and the two superblocks, which are checked before they are used.

mod drivers;
mod root;
mod superblock;
mod switch;

pub(crate) use root::describe;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use corten_sys::dm::DmError;
use corten_sys::module::ModuleError;
use corten_sys::mount::MountError;

use super::cmdline::{Cmdline, RootHashError};
use super::handover::Handover;
use super::{fatal, mounts, watchdog};

/// From the start of init to the root partition. Controllers with many disks take their time.
const ROOT_DEADLINE: Duration = Duration::from_secs(60);

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

    let drivers = drivers::Drivers::start()?;
    let found = root::find(&hash, &drivers, ROOT_DEADLINE)?;
    handover.timeline.mark("root partition found");
    drivers.join()?;
    root::mount(&hash, &found)?;
    handover.timeline.mark("root mounted");

    // By now the watchdog's driver had its time. A machine without one goes on.
    handover.watchdog = watchdog::arm().and_then(|watchdog| watchdog.into_inheritable().ok());
    handover.root_disk = Some(found.disk.name.clone());
    handover.root_partition = Some(found.name());
    handover.timeline.mark("root switched");
    switch::into(root::SYSROOT.into(), &handover)
}

/// Text of a panic.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
