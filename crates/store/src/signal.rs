//! Coalescing wake-ups: "something of these kinds changed since you looked".

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::sync::Notify;

/// Wakes its holder when a resource of some kinds changes. Many changes may give one wake-up; the last change always
/// gives one that comes after it.
#[derive(Debug)]
pub struct ChangeSignal {
    shared: Arc<Shared>,
}

struct Shared {
    kinds: Vec<(&'static str, AtomicBool)>,
    notify: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kinds.iter().map(|(kind, _)| kind)).finish()
    }
}

impl ChangeSignal {
    pub(crate) fn new(kinds: &[&'static str]) -> Self {
        let kinds = kinds.iter().map(|kind| (*kind, AtomicBool::new(false))).collect();
        Self { shared: Arc::new(Shared { kinds, notify: Notify::new() }) }
    }

    /// Subscribes the kind at position `index` of those given to [`Self::new`].
    pub(crate) fn subscribe(&self, index: usize, hub: &Hub) {
        hub.add(Arc::downgrade(&self.shared), index);
    }

    /// Waits for a change since the last call, and tells the kinds that changed. Safe to drop and call again.
    pub async fn wait(&self) -> Vec<&'static str> {
        loop {
            let changed = self.take();
            if !changed.is_empty() {
                return changed;
            }
            self.shared.notify.notified().await;
        }
    }

    /// The kinds that changed since the last call, without waiting.
    pub fn take(&self) -> Vec<&'static str> {
        let kinds = self.shared.kinds.iter();
        kinds.filter(|(_, dirty)| dirty.swap(false, Ordering::AcqRel)).map(|(kind, _)| *kind).collect()
    }
}

/// The signals that listen to one kind.
#[derive(Default)]
pub(crate) struct Hub {
    listeners: RwLock<Vec<(Weak<Shared>, usize)>>,
    count: AtomicUsize,
}

impl Hub {
    fn add(&self, shared: Weak<Shared>, index: usize) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|(shared, _)| shared.strong_count() > 0);
        listeners.push((shared, index));
        self.count.store(listeners.len(), Ordering::Release);
    }

    /// Marks the kind as changed for every listener.
    pub(crate) fn changed(&self) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for (shared, index) in listeners.iter() {
            let Some(shared) = shared.upgrade() else { continue };
            if let Some((_, dirty)) = shared.kinds.get(*index)
                && !dirty.swap(true, Ordering::AcqRel)
            {
                shared.notify.notify_one();
            }
        }
    }
}
