//! Addresses of links.

use super::{Netlink, NetlinkError, OWNER_PROTOCOL, Prefix};
use futures::TryStreamExt;
use rtnetlink::AddressMessageBuilder;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope as KernelScope,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressScope {
    /// Valid everywhere.
    Global,
    /// Valid in a site (deprecated IPv6 site-local addresses).
    Site,
    /// Valid on the link.
    Link,
    /// Valid on this machine.
    Host,
}

/// An address on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Index of the link.
    pub link: u32,
    /// The address with the length of its network.
    pub prefix: Prefix,
    /// How far it reaches.
    pub scope: AddressScope,
    /// Whether we made it, see [`OWNER_PROTOCOL`].
    pub ours: bool,
    /// Duplicate address detection has not ended, or has found a duplicate: not to be used.
    pub tentative: bool,
    /// Not to be used for new connections.
    pub deprecated: bool,
}

impl Netlink {
    /// All addresses of this network namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn addresses(&self) -> Result<Vec<Address>, NetlinkError> {
        let _one_at_a_time = self.dumps.lock().await;
        let messages: Vec<AddressMessage> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| NetlinkError::request("list addresses", error))?;
        Ok(messages.iter().filter_map(from_message).collect())
    }

    /// Adds an address of ours, or takes it over when it is there. The kernel adds the route to its network.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn put_address(&self, link: u32, prefix: Prefix) -> Result<(), NetlinkError> {
        let mut request = self.handle.address().add(link, prefix.address, prefix.length).replace();
        let attributes = &mut request.message_mut().attributes;
        attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(OWNER_PROTOCOL)));
        let action = || format!("add address {}/{} to link {link}", prefix.address, prefix.length);
        request.execute().await.map_err(|error| NetlinkError::request(action(), error))
    }

    /// Removes an address.
    ///
    /// # Errors
    /// When the kernel refuses, see [`NetlinkError::is_gone`].
    pub async fn delete_address(&self, link: u32, prefix: Prefix) -> Result<(), NetlinkError> {
        let request = self.handle.address().del(message(link, prefix)).execute();
        let action = || format!("remove address {}/{} from link {link}", prefix.address, prefix.length);
        request.await.map_err(|error| NetlinkError::request(action(), error))
    }
}

fn message(link: u32, prefix: Prefix) -> AddressMessage {
    match prefix.address {
        IpAddr::V4(address) => {
            AddressMessageBuilder::<Ipv4Addr>::new().index(link).address(address, prefix.length).build()
        }
        IpAddr::V6(address) => {
            AddressMessageBuilder::<Ipv6Addr>::new().index(link).address(address, prefix.length).build()
        }
    }
}

fn from_message(message: &AddressMessage) -> Option<Address> {
    let mut address = None;
    let mut local = None;
    let mut ours = false;
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::Protocol(protocol) => ours = u8::from(*protocol) == OWNER_PROTOCOL,
            _ => {}
        }
    }
    let scope = match message.header.scope {
        KernelScope::Site => AddressScope::Site,
        KernelScope::Link => AddressScope::Link,
        KernelScope::Host | KernelScope::Nowhere => AddressScope::Host,
        _ => AddressScope::Global,
    };
    Some(Address {
        link: message.header.index,
        // On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL, where there is one, is always ours.
        prefix: Prefix { address: local.or(address)?, length: message.header.prefix_len },
        scope,
        ours,
        tentative: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
        deprecated: flags.contains(AddressFlags::Deprecated),
    })
}
