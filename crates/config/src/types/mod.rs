//! The documents. A new kind is a file here, a line in [`crate::kinds`] and an example in `docs/examples`.

pub(crate) mod authority;
pub(crate) mod endpoint;
pub(crate) mod glob;
pub(crate) mod kubernetes;
pub(crate) mod network;
pub(crate) mod size;
pub(crate) mod span;
pub(crate) mod system;
pub(crate) mod text;
