//! Typed resource kinds, by area. A kind is a marker type with a `Spec`; `XxxSpec` is wanted, `XxxStatus` is observed.

pub mod block;
pub mod config;
pub mod k8s;
pub mod network;
pub mod runtime;
pub mod secrets;
