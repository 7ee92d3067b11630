//! Disks: the layout of a system disk, and writing its partition table.
//!
//! The image build writes a whole disk with it; a node asks it what a disk should hold. It knows
//! nothing of what is inside a partition.

pub mod entry;
pub mod layout;
mod overlay;
pub mod table;
