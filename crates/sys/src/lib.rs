//! Linux, behind safe functions.
//!
//! The only crate with `unsafe`. Each module wraps one area of the kernel's interface in owned, checked types and keeps
//! no policy: what to mount, load or run is decided by `machined`.

pub mod cgroup;
pub mod process;
pub mod netlink;
pub mod packet;
