//! Certificates, keys and kubeconfigs.
//!
//! The roots are in the config. Leaves are made anew at each boot, live in tmpfs as files of the user that needs them,
//! and are renewed at half of their life. No secret leaves this area but as such a file.

pub mod api;
mod clock;
mod describe;
pub mod files;
pub mod kubeconfig;
pub mod kubernetes;
mod leaves;
