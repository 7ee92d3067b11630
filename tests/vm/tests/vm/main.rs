//! VM tests: QEMU boots the shipped image, and everything is driven through the API, `osctl` and `kubectl`.
//!
//! `cargo xtask test --tier vm [NAME]` runs them. Files are ordered by what a node must be for them: not even
//! booting, in maintenance, with a config, Ready.

mod access;
mod boot;
mod config_sources;
mod cuts;
mod disks;
mod kubernetes;
mod life;
mod maintenance;
mod mishaps;
mod operator;
mod power;
mod reset;
mod secrets;
mod services;
mod sources;
mod updates;
mod versions;
mod web;
