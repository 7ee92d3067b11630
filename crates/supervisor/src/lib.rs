//! Keeps services running: `ServiceSpec` in, processes, `ServiceStatus`, logs and events out.
//!
//! - [`Supervisor`] gives each `ServiceSpec` a task (`runner`), which holds a state machine (`machine`) and does what that
//!   says. A task that panics is started again, and begins by killing what the old one left behind.
//! - [`SupervisorHandle`] is for operators: start, stop, restart, and stopping everything in order, with a deadline.
//! - [`LogStore`] holds the output of services, [`EventBus`] what happened to them; both serve other parts of the node too.
//!
//! Nothing else in the node starts a service. Processes are started and reaped by `corten_sys::process`.

pub mod events;
pub mod logs;
mod machine;
mod order;
pub mod probe;
mod requirements;
mod runner;
mod spec;
mod supervisor;

pub use events::{Event, EventBus};
pub use logs::{LogStore, LogWriter};
pub use supervisor::{Options, Supervisor, SupervisorError, SupervisorHandle};

/// Owner of every `ServiceStatus`.
pub const OWNER: &str = "supervisor";
