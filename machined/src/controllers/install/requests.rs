//! Hands installations from the API, or from a config source, to the controller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use corten_resources::install::InstallStatus;
use corten_resources::runtime::MACHINE;
use corten_store::Store;
use tokio::sync::Notify;

use super::controller::{NAME, begun};
use super::engine::{Engine, Job};

/// An installation runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an installation is running")]
pub struct Running;

/// Asks for an installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Installs {
    engine: Arc<dyn Engine>,
    store: Store,
    next: Arc<Mutex<Option<Job>>>,
    busy: Arc<AtomicBool>,
    asked: Arc<Notify>,
}

impl Default for Installs {
    fn default() -> Self {
        Self::new(Arc::new(super::engine::Absent), Store::new())
    }
}

impl Installs {
    /// Installs with `engine`, and tells of it in `store`.
    pub fn new(engine: Arc<dyn Engine>, store: Store) -> Self {
        Self { engine, store, next: Arc::default(), busy: Arc::default(), asked: Arc::default() }
    }

    /// Chooses and writes disks.
    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine)
    }

    /// Starts an installation; returns at once. The status says so already then: whoever watches it from here on must not
    /// take the end of the last installation for that of this one.
    ///
    /// # Errors
    /// When one runs.
    pub fn start(&self, job: Job) -> Result<(), Running> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(Running);
        }
        let medium = self.store.get::<InstallStatus>(MACHINE).map(|status| status.spec.medium.clone());
        let status = begun(&medium.unwrap_or_default(), &job);
        // The controller writes it again, and tells when it cannot.
        let _ = self.store.put::<InstallStatus>(NAME, MACHINE, status);
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
        self.asked.notify_one();
        Ok(())
    }

    /// Whether one runs.
    pub fn is_running(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    pub(super) fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }

    /// What to install. While the guard lives, no other installation starts.
    pub(super) fn take(&self) -> Option<(Job, Busy)> {
        let job = self.next.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((job, Busy(Arc::clone(&self.busy))))
    }
}

/// An installation runs as long as this lives, however it ends.
#[derive(Debug)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
