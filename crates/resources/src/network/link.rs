//! Network links.

use corten_store::Kind;
use serde::{Deserialize, Serialize};

use super::Layer;

/// How a link should be. Id: `layer/link`.
///
/// What is none is left to the lower layers, and to the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkSpec {
    /// Name of the link.
    pub link: String,
    /// Where this comes from.
    pub layer: Layer,
    /// Whether it is up.
    pub up: Option<bool>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
}

impl Kind for LinkSpec {
    const NAME: &'static str = "LinkSpec";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["linkspec", "linkspecs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("LINK", "/link"), ("LAYER", "/layer"), ("UP", "/up"), ("MTU", "/mtu")]
    }
}

/// A link that the kernel has. Id: its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Number of the link.
    pub index: u32,
    /// Hardware address, as in `52:54:00:12:34:56`.
    pub mac: Option<String>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Kind of a software link: `veth`, `vxlan`, `bridge`.
    pub kind: Option<String>,
    /// A network card, real or of a hypervisor.
    pub physical: bool,
    /// The loopback link.
    pub loopback: bool,
    /// Set up by us.
    pub up: bool,
    /// The cable is in, so to say.
    pub carrier: bool,
    /// Driver of the card.
    pub driver: Option<String>,
    /// Address of the card on its bus.
    pub bus_path: Option<String>,
}

impl Kind for LinkStatus {
    const NAME: &'static str = "LinkStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["linkstatus", "linkstatuses", "links", "link"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("UP", "/up"),
            ("CARRIER", "/carrier"),
            ("MAC", "/mac"),
            ("MTU", "/mtu"),
            ("KIND", "/kind"),
            ("DRIVER", "/driver"),
        ]
    }
}
