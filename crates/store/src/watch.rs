//! Watching one kind.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::queue::{Queue, Taken};
use crate::table::Table;
use crate::{Kind, Resource};

/// One step of a watch.
pub enum Event<K: Kind> {
    /// Part of the state when the watch began, or began again after [`Lagged`].
    Present(Arc<Resource<K>>),
    /// The state is complete; a resource that was not `Present` does not exist.
    Synced,
    /// A new resource.
    Created(Arc<Resource<K>>),
    /// A new version of a resource, its metadata included.
    Updated(Arc<Resource<K>>),
    /// The last version of a resource that is gone.
    Destroyed(Arc<Resource<K>>),
}

impl<K: Kind> Event<K> {
    /// The resource, unless this is [`Event::Synced`].
    pub fn resource(&self) -> Option<&Arc<Resource<K>>> {
        match self {
            Self::Present(resource)
            | Self::Created(resource)
            | Self::Updated(resource)
            | Self::Destroyed(resource) => Some(resource),
            Self::Synced => None,
        }
    }
}

impl<K: Kind> Clone for Event<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Present(resource) => Self::Present(Arc::clone(resource)),
            Self::Synced => Self::Synced,
            Self::Created(resource) => Self::Created(Arc::clone(resource)),
            Self::Updated(resource) => Self::Updated(Arc::clone(resource)),
            Self::Destroyed(resource) => Self::Destroyed(Arc::clone(resource)),
        }
    }
}

impl<K: Kind> fmt::Debug for Event<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Present(_) => "Present",
            Self::Synced => "Synced",
            Self::Created(_) => "Created",
            Self::Updated(_) => "Updated",
            Self::Destroyed(_) => "Destroyed",
        };
        let mut out = f.debug_tuple(name);
        if let Some(resource) = self.resource() {
            out.field(resource);
        }
        out.finish()
    }
}

/// The watcher was too slow and missed changes. The watch goes on with the present state, as it did at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watcher was too slow and missed changes")]
pub struct Lagged;

/// A watch of kind `K`.
pub struct Watch<K: Kind> {
    table: Arc<Table<K>>,
    queue: Arc<Queue<Event<K>>>,
    buffer: VecDeque<Event<K>>,
    listing: bool,
}

impl<K: Kind> Watch<K> {
    pub(crate) fn new(table: Arc<Table<K>>) -> Self {
        let queue = Arc::new(Queue::new());
        let buffer = table.subscribe(&queue);
        Self { table, queue, buffer, listing: true }
    }

    /// The next event; waits for it. Safe to drop and call again.
    pub async fn next(&mut self) -> Result<Event<K>, Lagged> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event, without `async`.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event<K>, Lagged>> {
        loop {
            if let Some(event) = self.buffer.pop_front() {
                self.listing &= !matches!(event, Event::Synced);
                return Poll::Ready(Ok(event));
            }
            match self.queue.poll_take(cx, &mut self.buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Taken::Events) => {}
                Poll::Ready(Taken::Overflowed) => {
                    self.buffer = self.table.resubscribe(&self.queue);
                    self.listing = true;
                    return Poll::Ready(Err(Lagged));
                }
            }
        }
    }

    /// Whether the present state is still being delivered.
    pub fn is_listing(&self) -> bool {
        self.listing
    }
}

impl<K: Kind> Drop for Watch<K> {
    fn drop(&mut self) {
        self.table.unsubscribe(&self.queue);
    }
}

impl<K: Kind> fmt::Debug for Watch<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("kind", &K::NAME)
            .field("listing", &self.listing)
            .finish_non_exhaustive()
    }
}
