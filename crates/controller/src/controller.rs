//! What a controller is.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::Context;

/// Any error; the runtime logs its whole chain.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// When to reconcile again, unless an input changes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Only when something changes.
    Wait,
    /// After this time.
    After(Duration),
}

/// Keeps its outputs, or a part of the world, equal to what its inputs ask for.
pub trait Controller: Send + 'static {
    /// `area/name`, as in `network/address_spec`. Also the owner of what it writes.
    fn name(&self) -> &'static str;

    /// Names of the kinds that it reads and that wake it.
    fn inputs(&self) -> &'static [&'static str];

    /// Names of the kinds that it writes; a write to another kind is refused.
    fn outputs(&self) -> &'static [&'static str];

    /// Makes things right. Safe at any time, twice, or after it was dropped halfway.
    fn reconcile(&mut self, ctx: &Context) -> impl Future<Output = Result<Next, BoxError>> + Send;

    /// A source of wake-ups beside the inputs: kernel events, a timer, a file.
    fn wake(&self) -> Option<Arc<Notify>> {
        None
    }
}
