//! Controllers by area. Each declares what it reads and what it owns.

pub mod block;
pub mod config;
pub mod hardware;
pub mod install;
pub mod k8s;
pub mod network;
pub mod runtime;
pub mod secrets;
pub mod time;
pub mod update;
