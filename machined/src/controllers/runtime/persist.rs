//! What starts once EPHEMERAL is there: log files, and the CNI plugins in their usual place.
//!
//! Reads `VolumeStatus`; owns no resource.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use corten_constants::{labels, paths};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::VolumeStatus;
use corten_store::Kind as _;
use corten_supervisor::LogStore;

/// Where [`paths::CNI_BIN`] really is.
const CNI_BIN_ON_EPHEMERAL: &str = "/var/opt/cni/bin";

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
        tokio::task::spawn_blocking(seed_cni).await??;
        self.logs.persist(paths::LOGS);
        self.done = true;
        Ok(Next::Wait)
    }
}

/// Links our plugins into a writable directory, where other CNIs install theirs; what is there already stays.
fn seed_cni() -> io::Result<()> {
    let target = Path::new(CNI_BIN_ON_EPHEMERAL);
    std::fs::create_dir_all(target)?;
    std::fs::create_dir_all(paths::LOGS)?;
    for plugin in std::fs::read_dir(paths::CNI_PLUGINS)? {
        let plugin = plugin?;
        match symlink(plugin.path(), target.join(plugin.file_name())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    corten_sys::mount::bind(CNI_BIN_ON_EPHEMERAL.into(), paths::CNI_BIN.into()).map_err(io::Error::other)
}
