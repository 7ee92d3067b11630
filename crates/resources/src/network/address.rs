//! Addresses on links.

use corten_store::Kind;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Layer;

/// An address that a link should have. Id: `layer/link/address`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressSpec {
    /// Name of the link.
    pub link: String,
    /// The address with the length of its network.
    pub address: IpNet,
    /// Where this comes from.
    pub layer: Layer,
}

impl Kind for AddressSpec {
    const NAME: &'static str = "AddressSpec";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["addressspec", "addressspecs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("LINK", "/link"), ("ADDRESS", "/address"), ("LAYER", "/layer")]
    }
}

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everywhere.
    Global,
    /// The site, as with the old site-local addresses of IPv6.
    Site,
    /// The link.
    Link,
    /// This machine.
    Host,
}

/// An address that a link has. Id: `link/address`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressStatus {
    /// Name of the link.
    pub link: String,
    /// The address with the length of its network.
    pub address: IpNet,
    /// How far it reaches.
    pub scope: Scope,
    /// Whether it follows from an `AddressSpec`; others belong to the kernel or to a CNI.
    pub managed: bool,
    /// Whether it can be used for new connections: neither being checked for duplicates, nor a duplicate, nor outdated.
    pub usable: bool,
}

impl Kind for AddressStatus {
    const NAME: &'static str = "AddressStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["addressstatus", "addressstatuses", "addresses", "address"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("LINK", "/link"),
            ("ADDRESS", "/address"),
            ("SCOPE", "/scope"),
            ("MANAGED", "/managed"),
            ("USABLE", "/usable"),
        ]
    }
}
