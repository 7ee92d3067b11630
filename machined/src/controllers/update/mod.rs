//! Slots and the trial of a new version.
//!
//! [`slots`] finds out what became of the last update and publishes what the disk says; [`gate`] decides whether the
//! running slot stays.

pub mod gate;
pub mod slots;

use corten_controller::Runtime;

use crate::node::Node;

/// Adds the controllers of this area.
pub fn add(all: &mut Runtime, node: &Node) {
    all.add(slots::Slots::new(node));
    all.add(gate::Gate::new(node));
}
