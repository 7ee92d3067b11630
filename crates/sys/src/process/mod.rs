//! Children: how they are started, confined, signalled and reaped.
//!
//! Nothing else in the node starts a process: [`Reaper::spawn`] registers a child under the same lock that the reaping
//! thread takes, so an exit status is neither lost nor stolen, however fast the child ends.

mod capability;
mod command;
mod reaper;
mod seccomp;
mod setup;
#[cfg(test)]
mod tests;

pub use caps::Capability;
pub use command::{Command, Output, Resource, Rlimit, User};
pub use nix::sys::signal::Signal;
pub use reaper::{Child, Exit, Reaper, SpawnError};
pub use seccomp::{Seccomp, SeccompError};
