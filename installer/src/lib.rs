//! Disks: what a system disk holds, which disk to take, and how it is written.
//!
//! ```text
//! selector ─ content ─ install::Plan ─ install::write: mark ─ erase ─ slot, esp ─ read back ─ table ─ bootable
//! ```
//! The image build and the node write disks with the same code. Everything goes through [`device::Device`], in an order
//! that survives a power cut at any write: a disk is either marked as unfinished or complete. It does not know what
//! a config is, mounts nothing and starts no program.

pub mod content;
pub mod device;
pub mod entry;
pub mod esp;
pub mod install;
pub mod layout;
pub mod marker;
pub mod selector;
pub mod slot;
pub mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
pub mod wipe;
