//! The store without types: for the API, which knows kinds by name.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::table::Table;
use crate::{AnyResource, Event, Kind, KindInfo, Lagged, Watch};

/// One step of a watch of any kind; see [`Event`].
#[derive(Debug, Clone, PartialEq)]
pub enum AnyEvent {
    /// Part of the state when the watch began.
    Present(AnyResource),
    /// The state is complete.
    Synced,
    /// A new resource.
    Created(AnyResource),
    /// A new version of a resource.
    Updated(AnyResource),
    /// The last version of a resource that is gone.
    Destroyed(AnyResource),
}

/// A watch of a kind that is known by name.
pub struct AnyWatch {
    info: KindInfo,
    watch: Box<dyn ErasedWatch>,
}

impl AnyWatch {
    /// The next event; waits for it. Safe to drop and call again.
    pub async fn next(&mut self) -> Result<AnyEvent, Lagged> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event, without `async`.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnyEvent, Lagged>> {
        self.watch.poll_any(cx)
    }

    /// The kind that is watched.
    pub fn kind(&self) -> KindInfo {
        self.info
    }
}

impl fmt::Debug for AnyWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyWatch").field("kind", &self.info.name).finish_non_exhaustive()
    }
}

/// A [`Table`] of some kind.
pub(crate) trait ErasedTable: Send + Sync {
    fn info(&self) -> KindInfo;
    fn get_any(&self, id: &str) -> Option<AnyResource>;
    fn contains(&self, id: &str) -> bool;
    fn list_any(&self) -> Vec<AnyResource>;
    fn watch_any(self: Arc<Self>) -> AnyWatch;
}

impl<K: Kind> ErasedTable for Table<K> {
    fn info(&self) -> KindInfo {
        KindInfo::of::<K>()
    }

    fn get_any(&self, id: &str) -> Option<AnyResource> {
        Some(self.get(id)?.to_any())
    }

    fn contains(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    fn list_any(&self) -> Vec<AnyResource> {
        // Converted after the lock is gone: a big table must not hold up its writers.
        self.list().iter().map(|resource| resource.to_any()).collect()
    }

    fn watch_any(self: Arc<Self>) -> AnyWatch {
        AnyWatch { info: self.info(), watch: Box::new(Watch::new(self)) }
    }
}

trait ErasedWatch: Send {
    fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnyEvent, Lagged>>;
}

impl<K: Kind> ErasedWatch for Watch<K> {
    fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnyEvent, Lagged>> {
        self.poll_next(cx).map_ok(|event| match event {
            Event::Present(resource) => AnyEvent::Present(resource.to_any()),
            Event::Synced => AnyEvent::Synced,
            Event::Created(resource) => AnyEvent::Created(resource.to_any()),
            Event::Updated(resource) => AnyEvent::Updated(resource.to_any()),
            Event::Destroyed(resource) => AnyEvent::Destroyed(resource.to_any()),
        })
    }
}
