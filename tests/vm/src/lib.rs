//! The frame of the VM tests: a test gets a [`Lab`], asks it for nodes, and talks to them as a user does, through
//! `osctl`, `kubectl` and the API.
//!
//! One test runs at a time, over all processes of this machine, because a node wants every processor there is.
//! Each test ends with a look at its nodes: a kernel that complained or a service that restarted unasked fails it.
//! A failed test leaves consoles, logs and the support folder in `_out/test/<name>/`.

mod command;
pub mod cuts;
mod expected;
mod install;
mod lab;
mod node;
mod pods;
mod raw;
pub mod replayed;
mod run;
mod slice;
mod wait;

pub use command::{Finished, Running, Tool};
pub use lab::Lab;
pub use node::TestNode;
pub use pods::{Pod, manifest};
pub use raw::RawDisk;
pub use run::{vm_test, vm_test_in_turn};
pub use slice::{rotating, rotating_in_turn};
