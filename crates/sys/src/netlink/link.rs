//! Network links.

use super::{Netlink, NetlinkError};
use futures::TryStreamExt;
use rtnetlink::LinkUnspec;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use std::path::Path;

/// Link layer, as far as we care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Ethernet, real or virtual.
    Ethernet,
    /// The loopback link.
    Loopback,
    /// Anything else: tunnels, InfiniBand, CAN.
    Other,
}

/// A link as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Number of the link in this network namespace.
    pub index: u32,
    /// Name, as in `eth0`.
    pub name: String,
    /// Link layer.
    pub layer: Layer,
    /// Hardware address, when it is an Ethernet one.
    pub mac: Option<[u8; 6]>,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Kind of a software link (`veth`, `vxlan`, `bridge`); none for hardware.
    pub kind: Option<String>,
    /// Index of the bridge or bond that it belongs to.
    pub controller: Option<u32>,
    /// Set up by the administrator.
    pub up: bool,
    /// The cable is in, so to say.
    pub carrier: bool,
    /// Driver, from sysfs.
    pub driver: Option<String>,
    /// Address on the bus, from sysfs, as in `0000:00:02.0`.
    pub bus_path: Option<String>,
}

impl Link {
    /// Whether it is a network card, real or of a hypervisor, and not something that software made.
    #[must_use]
    pub fn is_physical(&self) -> bool {
        self.layer == Layer::Ethernet && self.kind.is_none() && self.driver.is_some()
    }
}

/// What to change on a link; what is none stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// Set it up or down.
    pub up: Option<bool>,
    /// Set the MTU.
    pub mtu: Option<u32>,
}

impl Netlink {
    /// All links of this network namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        let _one_at_a_time = self.dumps.lock().await;
        let messages: Vec<LinkMessage> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| NetlinkError::request("list links", error))?;
        Ok(messages.into_iter().map(from_message).map(with_hardware).collect())
    }

    /// Changes a link.
    ///
    /// # Errors
    /// When the kernel refuses, for example because the link is gone or the MTU is out of its range.
    pub async fn set_link(&self, index: u32, change: LinkChange) -> Result<(), NetlinkError> {
        let mut builder = LinkUnspec::new_with_index(index);
        if let Some(mtu) = change.mtu {
            builder = builder.mtu(mtu);
        }
        builder = match change.up {
            Some(true) => builder.up(),
            Some(false) => builder.down(),
            None => builder,
        };
        let request = self.handle.link().set(builder.build()).execute();
        request.await.map_err(|error| NetlinkError::request(format!("change link {index}"), error))
    }
}

fn from_message(message: LinkMessage) -> Link {
    let flags = message.header.flags;
    let layer = match message.header.link_layer_type {
        LinkLayerType::Ether => Layer::Ethernet,
        LinkLayerType::Loopback => Layer::Loopback,
        _ => Layer::Other,
    };
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        layer,
        mac: None,
        mtu: 0,
        kind: None,
        controller: None,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        driver: None,
        bus_path: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok(),
            LinkAttribute::Controller(index) => link.controller = Some(index),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    link
}

/// Fills in what only sysfs knows. Hardware only: the look-ups cost more than the rest.
fn with_hardware(mut link: Link) -> Link {
    if link.layer == Layer::Ethernet && link.kind.is_none() {
        let device = Path::new("/sys/class/net").join(&link.name).join("device");
        link.driver = std::fs::read_link(device.join("driver")).ok().and_then(|path| last_component(&path));
        link.bus_path = std::fs::canonicalize(&device).ok().and_then(|path| bus_address(&path));
    }
    link
}

fn last_component(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

/// The address of the nearest device on a PCI bus; `/sys/devices/pci0000:00/0000:00:02.0/virtio0` is `0000:00:02.0`.
/// Without PCI, the name of the device itself.
fn bus_address(path: &Path) -> Option<String> {
    let mut names = path.components().filter_map(|part| part.as_os_str().to_str());
    let pci = names.rfind(|name| name.contains(':') && name.contains('.'));
    pci.map(str::to_owned).or_else(|| last_component(path))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_bus_address_is_that_of_the_nearest_pci_device() {
        let check =
            |path: &str, expect: &str| assert_eq!(bus_address(Path::new(path)).as_deref(), Some(expect));
        check("/sys/devices/pci0000:00/0000:00:02.0/virtio0", "0000:00:02.0");
        check("/sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0", "0000:03:00.0");
        check("/sys/devices/platform/a003e00.virtio_mmio/virtio5", "virtio5");
    }
}
