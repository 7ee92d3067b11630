//! PID 1 and its companions: wiring and policy. The ideas live in `crates/`.

pub mod apid;
pub mod boot;
pub mod controllers;
pub mod dashboard;
pub mod digest;
pub mod errors;
#[cfg(feature = "faults")]
pub mod faults;
pub mod images;
pub mod kernel_ring;
pub mod modprobe;
pub mod native;
pub mod node;
pub mod one_at_a_time;
pub mod own_log;
pub mod rpc;
pub mod run;
pub mod shutdown;
pub mod update;
pub mod versions;
