//! Disks and volumes: STATE and EPHEMERAL, made when missing, checked, mounted.
//!
//! ```text
//! system disk ─ partition table ─ per volume: probe ─ format | check ─ mount ─ prepare ─ VolumeStatus Mounted
//! ```
//! It needs no config and starts with the first controllers. A volume that holds anything that is not ours is never
//! formatted: the machine stays up without it and says why.

pub(crate) mod disks;
mod filesystem;
mod install;
pub(crate) mod marker;
mod plan;
mod prepare;
mod table;
mod tool;
mod volume;
mod volumes;

use corten_controller::Runtime;
use corten_sys::process::Reaper;

pub use install::{FreshError, announce_all, format_state, with_state};
pub use plan::{PlanError, partitions as plan_partitions};
pub use table::add as add_partitions;
pub use volume::{VOLUMES, Volume, VolumeError, bring_up};
pub use volumes::Volumes;

use crate::boot::timeline::Timeline;
use crate::node::StartedFrom;

/// Adds the controllers of this area.
pub fn add(runtime: &mut Runtime, reaper: Reaper, timeline: Timeline, started_from: StartedFrom) {
    runtime.add(Volumes::new(reaper, timeline, started_from));
}
