//! Routes of the main table.

use std::net::IpAddr;

use corten_store::Kind;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Layer;

/// A route that should be there. Id: `layer/link/destination`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteSpec {
    /// The network that it leads to.
    pub destination: IpNet,
    /// The next router; none when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Name of the link that it leaves by.
    pub link: String,
    /// Priority: the lowest wins.
    pub metric: u32,
    /// Where this comes from. Of two with the same destination and metric, the higher layer wins.
    pub layer: Layer,
}

impl Kind for RouteSpec {
    const NAME: &'static str = "RouteSpec";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["routespec", "routespecs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("DESTINATION", "/destination"),
            ("GATEWAY", "/gateway"),
            ("LINK", "/link"),
            ("METRIC", "/metric"),
            ("LAYER", "/layer"),
        ]
    }
}

/// A route that is there. Id: `destination/link/metric`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// The network that it leads to.
    pub destination: IpNet,
    /// The next router.
    pub gateway: Option<IpAddr>,
    /// Name of the link that it leaves by.
    pub link: String,
    /// Priority: the lowest wins.
    pub metric: u32,
    /// Whether it follows from a `RouteSpec`.
    pub managed: bool,
}

impl Kind for RouteStatus {
    const NAME: &'static str = "RouteStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["routestatus", "routestatuses", "routes", "route"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("DESTINATION", "/destination"),
            ("GATEWAY", "/gateway"),
            ("LINK", "/link"),
            ("METRIC", "/metric"),
            ("MANAGED", "/managed"),
        ]
    }
}
