//! What starts once EPHEMERAL is there: log files.
//!
//! Reads `VolumeStatus`; owns no resource.

use corten_constants::{labels, paths};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::VolumeStatus;
use corten_store::Kind as _;
use corten_supervisor::LogStore;

/// The controller.
#[derive(Debug)]
pub struct Persist {
    logs: LogStore,
    done: bool,
}

impl Persist {
    /// Switches on the files of `logs`.
    pub fn new(logs: LogStore) -> Self {
        Self { logs, done: false }
    }
}

impl Controller for Persist {
    fn name(&self) -> &'static str {
        "runtime/persist"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[VolumeStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let mounted =
            ctx.get::<VolumeStatus>(labels::EPHEMERAL).is_some_and(|volume| volume.spec.is_mounted());
        if self.done || !mounted {
            return Ok(Next::Wait);
        }
        self.logs.persist(paths::LOGS);
        self.done = true;
        Ok(Next::Wait)
    }
}
