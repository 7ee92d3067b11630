//! All controllers of a program.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;

use corten_store::Store;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Controller;
use crate::driver::Driver;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Start = Box<dyn FnOnce(Store, watch::Receiver<bool>) -> Task + Send>;

/// Runs controllers, each in a task of its own.
pub struct Runtime {
    store: Store,
    names: BTreeSet<&'static str>,
    controllers: Vec<Start>,
}

impl Runtime {
    /// No controllers yet.
    pub fn new(store: Store) -> Self {
        Self { store, names: BTreeSet::new(), controllers: Vec::new() }
    }

    /// Adds a controller. A second one with the same name is left out, with an error in the log: both would own the same
    /// resources.
    pub fn add<C: Controller>(&mut self, controller: C) {
        if !self.names.insert(controller.name()) {
            tracing::error!(controller = controller.name(), "two controllers have the same name");
            return;
        }
        self.controllers.push(Box::new(move |store, shutdown| {
            let driver = Driver::new(store, controller);
            Box::pin(driver.run(shutdown))
        }));
    }

    /// Starts all controllers. The handle ends when `shutdown` became true and all of them have stopped.
    pub fn start(self, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
        let Self { store, controllers, .. } = self;
        let mut tasks = JoinSet::new();
        for start in controllers {
            tasks.spawn(start(store.clone(), shutdown.clone()));
        }
        tokio::spawn(async move {
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a controller's task ended");
                }
            }
        })
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("controllers", &self.names).finish_non_exhaustive()
    }
}
