//! META as machined uses it: a path, and one change at a time.
//!
//! machined is the only process that writes, so a lock inside of it is enough.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::copies;
use crate::error::MetaError;
use crate::map::Meta;

/// Held by whoever changes META. The lock guards no memory, so one that a panic left behind is as good as new.
static WRITER: Mutex<()> = Mutex::new(());

/// The META partition of this machine.
#[derive(Debug, Clone)]
pub struct MetaFile {
    path: PathBuf,
}

impl MetaFile {
    /// Names the partition; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Path of the partition.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the partition for reading and writing, as the ring of boot records needs it.
    pub fn open(&self) -> Result<File, MetaError> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(|source| MetaError::Open { path: self.path.clone(), source })
    }

    /// Reads the map.
    pub fn load(&self) -> Result<Meta, MetaError> {
        let file =
            File::open(&self.path).map_err(|source| MetaError::Open { path: self.path.clone(), source })?;
        copies::read(&file)
    }

    /// Reads the map, lets it be changed, and writes it unless it stayed the same or the change failed. What was
    /// written is on the medium when this returns.
    pub fn update<R>(&self, change: impl FnOnce(&mut Meta) -> Result<R, MetaError>) -> Result<R, MetaError> {
        let _writer = lock();
        let file = self.open()?;
        let before = copies::read(&file)?;
        let mut after = before.clone();
        let answer = change(&mut after)?;
        if after != before {
            copies::write(&file, &after)?;
        }
        Ok(answer)
    }

    /// Writes a map over whatever is there, damaged copies included; not over a newer format.
    pub fn replace(&self, meta: &Meta) -> Result<(), MetaError> {
        let _writer = lock();
        copies::write(&self.open()?, meta)
    }
}

fn lock() -> MutexGuard<'static, ()> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}
