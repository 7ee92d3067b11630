//! `Resolver`: DNS.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::text;

/// DNS servers and search domains. What is given here replaces what DHCP gives. At most one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resolver {
    /// Addresses of DNS servers, the first is asked first; at most 3. Example: `[192.0.2.53, "2001:db8::53"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Ip>", length(max = 3), extend("x-effect" = "live"))]
    pub nameservers: Vec<IpAddr>,
    /// Domains in which short names are looked up; at most 6. Example: `[example.com]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<text::Domain>", length(max = 6), extend("x-effect" = "live"))]
    pub search_domains: Vec<String>,
}
