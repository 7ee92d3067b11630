//! Keeps the clock: chronyd, run as a service, and what came of it.

mod chrony;
mod status;

use corten_controller::Runtime;

/// Adds the controllers of this area.
pub fn add(runtime: &mut Runtime) {
    runtime.add(chrony::ChronyController);
    runtime.add(status::TimeStatusController::default());
}
