//! Wakes the status controllers when the kernel says that something changed.

use std::sync::Arc;
use std::time::Duration;

use corten_sys::netlink::{Change, Netlink, NetlinkError};
use tokio::sync::Notify;

/// Wake-ups by area.
#[derive(Debug, Clone, Default)]
pub(super) struct Monitor {
    pub(super) links: Arc<Notify>,
    pub(super) addresses: Arc<Notify>,
    pub(super) routes: Arc<Notify>,
}

impl Monitor {
    /// Subscribes, and keeps a task that passes the changes on and subscribes again when the socket breaks.
    pub(super) fn start() -> Result<Self, NetlinkError> {
        let monitor = Self::default();
        let mut changes = Netlink::subscribe()?;
        let task = monitor.clone();
        tokio::spawn(async move {
            loop {
                while let Some(change) = changes.next().await {
                    task.tell(change);
                }
                tracing::warn!("the netlink subscription ended");
                changes = loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if let Ok(changes) = Netlink::subscribe() {
                        break changes;
                    }
                };
                task.tell(Change::Everything);
            }
        });
        Ok(monitor)
    }

    fn tell(&self, change: Change) {
        // `notify_one` keeps the wake-up when nobody waits at the moment, and several become one.
        if matches!(change, Change::Links | Change::Everything) {
            self.links.notify_one();
        }
        if matches!(change, Change::Addresses | Change::Everything) {
            self.addresses.notify_one();
        }
        if matches!(change, Change::Routes | Change::Everything) {
            self.routes.notify_one();
        }
    }
}
