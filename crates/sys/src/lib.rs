//! Linux, behind safe functions.
//!
//! The only crate with `unsafe`. Each module wraps one area of the kernel's interface in owned, checked types and keeps
//! no policy: what to mount, load or run is decided by `machined`.

pub mod block;
pub mod cgroup;
pub mod dm;
pub mod kmsg;
pub mod memory;
pub mod module;
pub mod mount;
pub mod netlink;
pub mod ntp;
pub mod packet;
pub mod power;
pub mod process;
mod readiness;
pub mod reboot;
pub mod system;
pub mod uevent;
pub mod watchdog;
