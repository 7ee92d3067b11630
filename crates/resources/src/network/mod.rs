//! Links, addresses, routes, names and time.
//!
//! A spec may come from several layers ([`Layer`]): the operator's config, a DHCP server, or our defaults. Each has a
//! resource of its own, with the layer as the first part of its id, and whoever applies them lets the highest layer win.

mod address;
mod link;
mod names;
mod operator;
mod route;
mod status;
mod time;

use corten_store::Store;
use serde::{Deserialize, Serialize};

pub use address::{AddressSpec, AddressStatus, Scope};
pub use link::{LinkSpec, LinkStatus};
pub use names::{HostnameSpec, HostnameStatus, ResolverSpec, ResolverStatus};
pub use operator::{LeaseState, OperatorKind, OperatorSpec, OperatorStatus};
pub use route::{RouteSpec, RouteStatus};
pub use status::{NetworkStatus, NodeAddresses};
pub use time::{TimeServerSpec, TimeStatus};

/// Where a spec comes from. A later one wins over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// What we do when nobody says anything.
    Default,
    /// A DHCP server.
    Dhcp,
    /// The operator's config.
    Config,
}

impl Layer {
    /// The word for it, as in ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Dhcp => "dhcp",
            Self::Config => "config",
        }
    }
}

/// Makes the kinds of this area known.
pub fn register(store: &Store) {
    store.register::<LinkSpec>();
    store.register::<LinkStatus>();
    store.register::<AddressSpec>();
    store.register::<AddressStatus>();
    store.register::<RouteSpec>();
    store.register::<RouteStatus>();
    store.register::<ResolverSpec>();
    store.register::<ResolverStatus>();
    store.register::<HostnameSpec>();
    store.register::<HostnameStatus>();
    store.register::<OperatorSpec>();
    store.register::<OperatorStatus>();
    store.register::<TimeServerSpec>();
    store.register::<TimeStatus>();
    store.register::<NodeAddresses>();
    store.register::<NetworkStatus>();
}
