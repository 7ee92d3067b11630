//! Documents about links, addresses and names.

pub(crate) mod hostname;
pub(crate) mod link;
pub(crate) mod resolver;
