//! Kubernetes on this node.
//!
//! [`components`] turns config into files and `ServiceSpec`s, [`node`] follows the Node object, [`cni`] renders the pod
//! network from it, [`manifests`] applies what every cluster needs. Nothing here starts a process.

pub mod client;
pub mod cni;
pub mod component_config;
pub mod components;
pub mod inputs;
pub mod manifests;
pub mod node;
