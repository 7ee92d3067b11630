//! Operators: protocols that ask the network for addresses.

use std::net::Ipv4Addr;

use corten_store::{Kind, Timestamp};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::Layer;

/// Protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorKind {
    /// DHCP for IPv4.
    Dhcp4,
}

/// A protocol that should run on a link. Id: `kind/link`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatorSpec {
    /// Which protocol.
    pub kind: OperatorKind,
    /// Name of the link.
    pub link: String,
    /// Metric of the routes that it brings.
    pub metric: u32,
    /// Who asked for it.
    pub layer: Layer,
}

impl Kind for OperatorSpec {
    const NAME: &'static str = "OperatorSpec";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["operatorspec", "operatorspecs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("KIND", "/kind"), ("LINK", "/link"), ("METRIC", "/metric"), ("LAYER", "/layer")]
    }
}

/// State of a DHCP client, RFC 2131 figure 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// The link is down or has no carrier.
    Waiting,
    /// Asks which servers are there.
    Selecting,
    /// Has chosen an offer and waits for the server's word.
    Requesting,
    /// Has an address.
    Bound,
    /// Has an address and asks its server for more time.
    Renewing,
    /// Has an address and asks every server for more time.
    Rebinding,
}

/// How a protocol fares. Id: `kind/link`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatorStatus {
    /// Name of the link.
    pub link: String,
    /// Where it is.
    pub state: LeaseState,
    /// The leased address.
    pub address: Option<Ipv4Net>,
    /// The server that leased it.
    pub server: Option<Ipv4Addr>,
    /// When the lease ends; none when never.
    pub expires: Option<Timestamp>,
    /// What is in the way, in words.
    pub message: String,
}

impl Kind for OperatorStatus {
    const NAME: &'static str = "OperatorStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["operatorstatus", "operatorstatuses", "operators", "leases"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("LINK", "/link"),
            ("STATE", "/state"),
            ("ADDRESS", "/address"),
            ("SERVER", "/server"),
            ("EXPIRES", "/expires"),
            ("MESSAGE", "/message"),
        ]
    }
}
