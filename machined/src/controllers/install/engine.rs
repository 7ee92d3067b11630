//! What the controller asks of the code that writes disks, so that it can be tested without one.

use corten_config::{Config, Install};
use corten_sys::block::Disk;

use super::BoxError;

/// A disk that was chosen, and what will be written to it.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The disk.
    pub disk: Disk,
    /// The partition plan for a person to read, a line each.
    pub plan: Vec<String>,
    /// A system of ours is installed on it.
    pub installed: bool,
}

/// Why there is no disk to install to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotChosen {
    /// What is wrong, one sentence.
    pub message: String,
    /// Each disk, with the reason that it did or did not match.
    pub disks: Vec<String>,
    /// What to do.
    pub hint: String,
}

/// How far the writing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Stable name of the step.
    pub step: &'static str,
    /// Bytes that are done in it.
    pub done: u64,
    /// Bytes that there are; 0 when not counted.
    pub total: u64,
}

/// The installation is not waited for any more, and has to end.
#[derive(Debug, thiserror::Error)]
#[error("the installation was given up")]
pub struct GivenUp;

/// Takes note of a moment.
pub type Report<'a> = &'a mut dyn FnMut(Moment) -> Result<(), GivenUp>;

/// Makes a disk bootable that was written and has its STATE. It may take long.
pub type Finish = Box<dyn FnOnce() -> Result<(), BoxError> + Send>;

/// Chooses and writes disks. Both may take long, and are called on threads of their own.
pub trait Engine: std::fmt::Debug + Send + Sync + 'static {
    /// Looks at the disks as they are now. Writes nothing.
    ///
    /// # Errors
    /// When not exactly one disk matches, or it may not be written to.
    fn choose(&self, install: &Install, medium: &str) -> Result<Chosen, NotChosen>;

    /// Writes the system, reads it back, and writes the partition table. The disk does not boot before [`Finish`] is called.
    /// `report` may say that nobody waits any more.
    ///
    /// # Errors
    /// When the disk fails; the installation can be started again then.
    fn write(&self, chosen: &Chosen, report: Report<'_>) -> Result<Finish, BoxError>;
}

/// A system that does not run from a medium installs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

impl Engine for Absent {
    fn choose(&self, _: &Install, _: &str) -> Result<Chosen, NotChosen> {
        let message = "the system does not run from an install medium".to_owned();
        Err(NotChosen { message, disks: Vec::new(), hint: "boot the ISO".to_owned() })
    }

    fn write(&self, _: &Chosen, _: Report<'_>) -> Result<Finish, BoxError> {
        Err("the system does not run from an install medium".into())
    }
}

/// A config, and the disk that it goes to.
#[derive(Debug)]
pub struct Job {
    /// The documents as they were given.
    pub text: String,
    /// The disk.
    pub chosen: Chosen,
}

/// What a config on an install medium leads to.
#[derive(Debug, thiserror::Error)]
pub enum NoJob {
    /// It does not say where to.
    #[error("the config has no Install document, so it does not say which disk to install to")]
    NoInstall,
    /// It says it, but there is no such disk.
    #[error(transparent)]
    NotChosen(#[from] NotChosen),
}

/// The disk for a config. Reads disks: call it where waiting is allowed.
///
/// # Errors
/// When the config names no disk that can be used.
pub fn job(engine: &dyn Engine, medium: &str, config: &Config, text: String) -> Result<Job, NoJob> {
    let install = config.install().ok_or(NoJob::NoInstall)?;
    Ok(Job { chosen: engine.choose(install, medium)?, text })
}
