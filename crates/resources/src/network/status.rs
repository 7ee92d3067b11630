//! What the rest of the node wants to know about the network.

use std::net::IpAddr;

use corten_store::Kind;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The addresses under which others reach the node. The only resource has the id [`NodeAddresses::ID`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NodeAddresses {
    /// The addresses. First the primary one: on the link of the default route, IPv4 before IPv6.
    pub addresses: Vec<IpNet>,
}

impl NodeAddresses {
    /// Id of the only resource.
    pub const ID: &'static str = "node";

    /// The address that stands for the node.
    #[must_use]
    pub fn primary(&self) -> Option<IpAddr> {
        self.addresses.first().map(IpNet::addr)
    }

    /// All of them, without the lengths of their networks.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(IpNet::addr)
    }
}

impl Kind for NodeAddresses {
    const NAME: &'static str = "NodeAddresses";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["nodeaddresses", "nodeaddress"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("ADDRESSES", "/addresses")]
    }
}

/// Whether the network serves its purpose. The only resource has the id [`NetworkStatus::ID`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// The node has an address that others can reach.
    pub addresses: bool,
    /// There is a default route.
    pub connectivity: bool,
    /// There is a DNS server.
    pub resolver: bool,
    /// The node has its name.
    pub hostname: bool,
    /// What is missing and why, a sentence each; empty when all is well.
    pub unmet: Vec<String>,
}

impl NetworkStatus {
    /// Id of the only resource.
    pub const ID: &'static str = "network";
}

impl Kind for NetworkStatus {
    const NAME: &'static str = "NetworkStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["networkstatus", "network"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("ADDRESSES", "/addresses"),
            ("CONNECTIVITY", "/connectivity"),
            ("RESOLVER", "/resolver"),
            ("HOSTNAME", "/hostname"),
            ("UNMET", "/unmet"),
        ]
    }
}
