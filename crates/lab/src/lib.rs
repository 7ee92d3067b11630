//! QEMU nodes and clusters, for `osctl cluster` and for the VM tests.
//!
//! A [`Node`] is one QEMU process that runs the shipped image. Everything about it lies in one folder: disk,
//! console log, QMP socket, pid file and `state.json`, so any later process can find, inspect and remove it.
//! A [`cluster`] is a named set of nodes with secrets and a client context of its own.
//!
//! KVM is used when a kernel was seen to run in it ([`Accel::detect`]), software emulation otherwise, and every
//! timeout is scaled by that ([`Timeouts`]). All network traffic of a node ends on loopback ports of this
//! machine, unless its spec lets it out. Nothing here needs root.
//!
//! This crate knows how to start a machine and how to talk to it from outside. What runs inside the machine is
//! known to the image and to its API only.

mod accel;
mod arguments;
pub mod cluster;
mod console;
mod devices;
mod dirs;
mod disk;
mod error;
mod image;
pub mod leftovers;
mod node;
mod ports;
mod process;
mod qmp;
mod snapshot;
mod spec;
mod timeouts;
pub mod writelog;

pub use accel::Accel;
pub use console::{Console, Mark};
pub use dirs::{cache_dir, state_dir};
pub use error::LabError;
pub use image::Image;
pub use node::Node;
pub use ports::free_ports;
pub use process::CpuTime;
pub use qmp::Qmp;
pub use snapshot::Snapshot;
pub use spec::{BadSector, Boot, Bus, Cache, DiskSpec, Forward, HOST, Medium, MediumKind, NodeSpec, Source};
pub use timeouts::Timeouts;
