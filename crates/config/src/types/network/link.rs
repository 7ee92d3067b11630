//! `Link`: a network interface with its addresses and routes.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// A network interface, named by `name` or found by `match`, one document for each. Without any such document every
/// physical link asks for an address by DHCPv4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// Name that the kernel gives the link. Either this or `match`. Example: `enp0s2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::LinkName>", extend("x-effect" = "live"))]
    pub name: Option<String>,
    /// Properties by which the link is found; all that are given must fit.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-effect" = "live"))]
    pub selector: Option<LinkMatch>,
    /// Whether to ask for an IPv4 address, routes and name servers by DHCP.
    #[serde(default)]
    #[schemars(extend("x-effect" = "live"))]
    pub dhcp4: bool,
    /// Fixed addresses, each with the length of its prefix. Example: `[192.0.2.10/24, "2001:db8::10/64"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Address>", extend("x-effect" = "live"))]
    pub addresses: Vec<IpNet>,
    /// Fixed routes through this link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-effect" = "live", "x-list-key" = "to"))]
    pub routes: Vec<Route>,
    /// Largest packet, in bytes, 68 to 65535; without it what the driver or DHCP says. Example: `9000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 65535), extend("x-effect" = "live"))]
    pub mtu: Option<u32>,
    /// Whether the link is brought up.
    #[serde(default = "up", skip_serializing_if = "is_up")]
    #[schemars(extend("x-effect" = "live"))]
    pub up: bool,
}

/// How a link is found when its name is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkMatch {
    /// Permanent hardware address, lower case. Example: `52:54:00:12:34:56`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::Mac>")]
    pub mac: Option<String>,
    /// Name of the kernel driver. Example: `virtio_net`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::ModuleName>")]
    pub driver: Option<String>,
    /// Address on the bus. Example: `0000:00:02.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::Word>")]
    pub bus_path: Option<String>,
}

/// A fixed route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// Where it leads; `0.0.0.0/0` and `::/0` are the default routes. Example: `10.0.0.0/8`.
    #[schemars(with = "text::Cidr")]
    pub to: IpNet,
    /// Next router, of the same IP family; without it the destination is on the link. Example: `192.0.2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::Ip>")]
    pub via: Option<IpAddr>,
    /// Preference, lower wins; without it 1024. Example: `100`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

fn up() -> bool {
    true
}

// serde passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_up(up: &bool) -> bool {
    *up
}
