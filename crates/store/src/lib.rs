//! In-memory resource store with watches.
//!
//! A resource is `kind / id` with a typed spec, a version, an owner, a phase, finalizers and labels. What this crate
//! keeps true:
//! - a version is taken from a sequence of the kind, so it is never used twice, not even after a destroy;
//! - only the owner changes or destroys a resource, and nobody destroys one that still has finalizers;
//! - a [`Watch`] gives the present state, then [`Event::Synced`], then every change in order, and a watcher that is too
//!   slow is told so ([`Lagged`]) and given the present state again;
//! - a [`ChangeSignal`] coalesces changes and never loses the last one.
//!
//! It does no I/O, starts no task, and knows nothing about what the kinds mean.

mod any;
mod error;
mod kind;
mod queue;
mod resource;
mod signal;
mod store;
mod table;
mod watch;

pub use any::{AnyEvent, AnyWatch};
pub use error::StoreError;
pub use jiff::Timestamp;
pub use kind::{Kind, KindInfo};
pub use resource::{AnyResource, Metadata, Phase, Resource};
pub use signal::ChangeSignal;
pub use store::Store;
pub use watch::{Event, Lagged, Watch};
