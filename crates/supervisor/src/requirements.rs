//! What a service waits for.

use std::time::Duration;

use corten_resources::runtime::{Requirement, ServiceSpec, ServiceStatus};
use corten_store::{ChangeSignal, Kind, Store};

/// How often paths, which do not tell when they appear, are looked at.
const POLL: Duration = Duration::from_millis(50);

/// Looks at the requirements of one service, and tells when to look again.
#[derive(Debug)]
pub(crate) struct Requirements {
    list: Vec<Requirement>,
    signal: ChangeSignal,
    poll: bool,
}

impl Requirements {
    pub(crate) fn new(store: &Store, spec: &ServiceSpec) -> Self {
        let mut kinds = vec![ServiceStatus::NAME];
        let mut poll = false;
        for requirement in &spec.requires {
            match requirement {
                Requirement::Service(_) => {}
                Requirement::Path(_) => poll = true,
                Requirement::Resource { kind, .. } => match store.resolve(kind) {
                    Ok(info) => kinds.push(info.name),
                    Err(_) => poll = true, // the kind may be registered later
                },
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        Self { list: spec.requires.clone(), signal: store.changed(&kinds), poll }
    }

    /// What is not there, in words.
    pub(crate) async fn missing(&self, store: &Store) -> Vec<String> {
        let mut missing = Vec::new();
        for requirement in &self.list {
            let met = match requirement {
                Requirement::Service(id) => {
                    store.get::<ServiceStatus>(id).is_some_and(|status| status.spec.ready)
                }
                Requirement::Path(path) => tokio::fs::try_exists(path).await.unwrap_or(false),
                Requirement::Resource { kind, id } => store.contains(kind, id),
            };
            if !met {
                missing.push(requirement.to_string());
            }
        }
        missing
    }

    /// Waits until looking again makes sense.
    pub(crate) async fn changed(&self) {
        if self.poll {
            let _ = tokio::time::timeout(POLL, self.signal.wait()).await;
        } else {
            self.signal.wait().await;
        }
    }
}
