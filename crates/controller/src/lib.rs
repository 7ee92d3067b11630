//! The controller loop, written once.
//!
//! A controller names the kinds that it reads and the kinds that it owns, and reconciles. The runtime calls it once at
//! the start, and again when an input changed, when its own wake-up fires, when the time that it asked for has come, or,
//! after a failure, when the backoff has passed. A panic is a failure like any other. How each controller is doing is
//! the resource `ControllerStatus`.
//!
//! What is read and written is up to the controllers; this crate does no I/O of its own.

mod backoff;
mod context;
mod controller;
mod driver;
mod runtime;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use context::{Context, ContextError};
pub use controller::{BoxError, Controller, Next};
pub use runtime::Runtime;
