//! Host name and resolver.

use std::net::IpAddr;

use corten_store::Kind;
use serde::{Deserialize, Serialize};

use super::Layer;

/// A name for the node. Id: `layer`, or `dhcp/link`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostnameSpec {
    /// The name, with or without a domain.
    pub hostname: String,
    /// Where this comes from.
    pub layer: Layer,
}

impl Kind for HostnameSpec {
    const NAME: &'static str = "HostnameSpec";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["hostnamespec", "hostnamespecs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("HOSTNAME", "/hostname"), ("LAYER", "/layer")]
    }
}

/// The name that the node has. The only resource has the id [`HostnameStatus::ID`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostnameStatus {
    /// The first label: the kernel's host name and the name of the Kubernetes node.
    pub hostname: String,
    /// What follows it, when somebody gave a domain.
    pub domain: Option<String>,
    /// Who named it.
    pub layer: Layer,
}

impl HostnameStatus {
    /// Id of the only resource.
    pub const ID: &'static str = "hostname";
}

impl Kind for HostnameStatus {
    const NAME: &'static str = "HostnameStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["hostnamestatus", "hostname"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("HOSTNAME", "/hostname"), ("DOMAIN", "/domain"), ("LAYER", "/layer")]
    }
}

/// DNS servers and search domains. Id: `layer`, or `dhcp/link`.
///
/// An empty list leaves the matter to the lower layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolverSpec {
    /// DNS servers, the preferred one first.
    pub nameservers: Vec<IpAddr>,
    /// Domains in which short names are looked up.
    pub search: Vec<String>,
    /// Where this comes from.
    pub layer: Layer,
}

impl Kind for ResolverSpec {
    const NAME: &'static str = "ResolverSpec";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["resolverspec", "resolverspecs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("NAMESERVERS", "/nameservers"), ("SEARCH", "/search"), ("LAYER", "/layer")]
    }
}

/// What is in `/etc/resolv.conf`. The only resource has the id [`ResolverStatus::ID`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolverStatus {
    /// DNS servers.
    pub nameservers: Vec<IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
}

impl ResolverStatus {
    /// Id of the only resource.
    pub const ID: &'static str = "resolver";
}

impl Kind for ResolverStatus {
    const NAME: &'static str = "ResolverStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["resolverstatus", "resolver", "resolvers"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("NAMESERVERS", "/nameservers"), ("SEARCH", "/search")]
    }
}
