//! What the API handlers and the main program share: one handle to every part of the node.

use std::sync::Arc;

use corten_resources::runtime::MachineStage;
use corten_store::Store;
use corten_supervisor::{EventBus, LogStore, SupervisorHandle};
use tokio::sync::{Notify, watch};

use crate::boot::record::Recorder;
use crate::boot::timeline::Timeline;
use crate::controllers::config::acquire::ConfigStore;
use crate::controllers::install::Installs;
use crate::controllers::runtime::bootstrap::Marker;
use crate::kernel_ring::KernelRing;
use crate::update::Updates;

/// The node, as the API sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Node {
    /// All resources.
    pub store: Store,
    /// Starts, stops and restarts services.
    pub supervisor: SupervisorHandle,
    /// What services wrote.
    pub logs: LogStore,
    /// What happened.
    pub events: EventBus,
    /// What the kernel wrote.
    pub kernel_log: KernelRing,
    /// This boot's record on META, and those of the boots before.
    pub recorder: Recorder,
    /// Config generations.
    pub config: ConfigStore,
    /// Whether this node is a member of etcd.
    pub member: Marker,
    /// Reboot and shutdown.
    pub power: Power,
    /// How this boot went.
    pub timeline: Timeline,
    /// Where the running system is.
    pub started_from: StartedFrom,
    /// Installation to a disk, on an install medium.
    pub installs: Installs,
    /// Slots and updates.
    pub updates: Updates,
}

/// Where the running system is: on a disk, or on an install medium.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartedFrom {
    /// Kernel name of the disk that the root is on.
    pub disk: Option<String>,
    /// Kernel name of the install medium's device. The disks of the machine are somebody else's then.
    pub medium: Option<String>,
}

/// What to do with the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PowerAction {
    /// Come back.
    #[default]
    Reboot,
    /// Stay off.
    PowerOff,
}

/// How to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WipeMethod {
    /// Discard where the disk then reads zeros, else overwrite.
    #[default]
    Default,
    /// Tell the disk that the content is not needed.
    Discard,
    /// Write zeros over all of it.
    Overwrite,
    /// Only what makes a file system or a partition table recognisable.
    Headers,
}

/// What to erase on the way down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WipePlan {
    /// STATE: config, identity, PKI.
    pub state: bool,
    /// EPHEMERAL: containers, etcd's data, logs.
    pub ephemeral: bool,
    /// Everything, the installed system too.
    pub disk: bool,
    /// How.
    pub method: WipeMethod,
    /// Kernel name of the disk.
    pub device: String,
}

/// A request to go down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PowerRequest {
    /// Which way.
    pub action: PowerAction,
    /// Without waiting for services.
    pub force: bool,
    /// What to erase when nothing uses it any more.
    pub wipe: Option<WipePlan>,
}

/// Takes the first request to go down; later ones come too late.
#[derive(Debug, Clone)]
pub struct Power {
    request: watch::Sender<Option<PowerRequest>>,
    /// Wakes the status controller, which is the only one that waits for it.
    asked: Arc<Notify>,
}

impl Default for Power {
    fn default() -> Self {
        Self { request: watch::Sender::new(None), asked: Arc::default() }
    }
}

impl Power {
    /// Asks for it; returns at once, and tells whether it was the first request. The answer to whoever asked still arrives:
    /// apid lets open calls finish.
    pub fn ask(&self, request: PowerRequest) -> bool {
        let first = self.request.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(request);
            first
        });
        self.asked.notify_one();
        first
    }

    /// Waits until somebody asked. Any number may wait.
    pub async fn wait(&self) -> PowerRequest {
        let mut requests = self.request.subscribe();
        loop {
            let request = requests.borrow_and_update().clone();
            if let Some(request) = request {
                return request;
            }
            if requests.changed().await.is_err() {
                // Cannot be: `self` holds the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The request, once there is one.
    pub fn current(&self) -> Option<PowerRequest> {
        self.request.borrow().clone()
    }

    /// The stage that follows from the request.
    pub fn stage(&self) -> Option<MachineStage> {
        self.current().map(|request| match request.action {
            _ if request.wipe.is_some() => MachineStage::Resetting,
            PowerAction::Reboot => MachineStage::Rebooting,
            PowerAction::PowerOff => MachineStage::ShuttingDown,
        })
    }

    /// Notified at each request.
    pub fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_request_decides_and_a_later_one_is_told() {
        let power = Power::default();
        let wipe = Some(WipePlan { state: true, ..WipePlan::default() });
        let first = PowerRequest { wipe, ..PowerRequest::default() };
        assert!(power.ask(first.clone()));
        assert!(!power.ask(PowerRequest { action: PowerAction::PowerOff, force: true, wipe: None }));
        assert_eq!(power.wait().await, first);
        assert_eq!(power.stage(), Some(MachineStage::Resetting));
    }

    #[tokio::test]
    async fn everybody_who_waits_is_told() {
        let power = Power::default();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let power = power.clone();
                tokio::spawn(async move { power.wait().await })
            })
            .collect();
        tokio::task::yield_now().await;
        power.ask(PowerRequest { action: PowerAction::PowerOff, ..PowerRequest::default() });
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().action, PowerAction::PowerOff);
        }
    }
}
