//! From power on to the running machine.
//!
//! ```text
//! kernel ─ initramfs::main ─ exec ─ early ─ runtime starts ─ controllers
//!          modules, verity,         mounts, sysctls,
//!          switch root              files in /etc
//! ```
//! Everything here runs on plain threads, before there is a runtime; a failure that leaves no machine to talk to ends
//! in [`fatal`]: one message on the console, a pause, a reboot.

pub mod cmdline;
pub mod etc;
pub mod fatal;
pub mod handover;
pub mod heartbeat;
pub mod hotplug;
pub mod initramfs;
pub mod kernel_log;
pub mod machine_id;
pub mod modules;
pub mod mounts;
pub mod power;
pub mod pstore;
pub mod record;
pub mod sequence;
pub mod sysctls;
pub mod timeline;
pub mod watchdog;

pub use sequence::{Early, early};
