//! Routes of the main table.

use super::{Netlink, NetlinkError, OWNER_PROTOCOL, Prefix};
use futures::TryStreamExt;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What happens to a packet that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// It is forwarded.
    Unicast,
    /// It is dropped, silently or with an answer.
    Blocked,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The network that it leads to; length 0 is the default route.
    pub destination: Prefix,
    /// The next router; none when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Index of the link that it leaves by; 0 when it has none.
    pub link: u32,
    /// Priority: the lowest wins.
    pub metric: u32,
    /// Who made it: `RTPROT_*`.
    pub protocol: u8,
    /// What happens.
    pub kind: RouteKind,
}

impl Route {
    /// Whether we made it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.protocol == OWNER_PROTOCOL
    }
}

impl Netlink {
    /// The IPv4 and IPv6 routes of the main table, without those for multicast and for the machine itself.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn routes(&self) -> Result<Vec<Route>, NetlinkError> {
        let queries =
            [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()];
        let mut routes = Vec::new();
        let _one_at_a_time = self.dumps.lock().await;
        for query in queries {
            let messages: Vec<RouteMessage> = self
                .handle
                .route()
                .get(query)
                .execute()
                .try_collect()
                .await
                .map_err(|error| NetlinkError::request("list routes", error))?;
            routes.extend(messages.iter().filter_map(from_message));
        }
        Ok(routes)
    }

    /// Adds a route, or replaces the one with the same destination and metric.
    ///
    /// # Errors
    /// When the kernel refuses, for example because the gateway is not reachable.
    pub async fn put_route(&self, route: &Route) -> Result<(), NetlinkError> {
        let request = self.handle.route().add(message(route)).replace().execute();
        request.await.map_err(|error| NetlinkError::request(format!("add route {}", describe(route)), error))
    }

    /// Removes a route.
    ///
    /// # Errors
    /// When the kernel refuses, see [`NetlinkError::is_gone`].
    pub async fn delete_route(&self, route: &Route) -> Result<(), NetlinkError> {
        let request = self.handle.route().del(message(route)).execute();
        request
            .await
            .map_err(|error| NetlinkError::request(format!("remove route {}", describe(route)), error))
    }
}

fn describe(route: &Route) -> String {
    let to = route.destination;
    let via = route.gateway.map_or_else(|| "the link".to_owned(), |gateway| gateway.to_string());
    format!("to {}/{} through {via}", to.address, to.length)
}

fn message(route: &Route) -> RouteMessage {
    let length = route.destination.length;
    let mut message = match route.destination.address {
        IpAddr::V4(to) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(to, length)
            .output_interface(route.link)
            .build(),
        IpAddr::V6(to) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(to, length)
            .output_interface(route.link)
            .build(),
    };
    message.header.protocol = RouteProtocol::from(route.protocol);
    if route.metric != 0 {
        message.attributes.push(RouteAttribute::Priority(route.metric));
    }
    match route.gateway {
        Some(gateway) => message.attributes.push(RouteAttribute::Gateway(gateway.into())),
        None if route.destination.address.is_ipv4() => message.header.scope = RouteScope::Link,
        None => {}
    }
    message
}

fn from_message(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let kind = match header.kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit => RouteKind::Blocked,
        _ => return None,
    };
    let everything = match header.address_family {
        rtnetlink::packet_route::AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        rtnetlink::packet_route::AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut route = Route {
        destination: Prefix { address: everything, length: header.destination_prefix_length },
        gateway: None,
        link: 0,
        metric: 0,
        protocol: u8::from(header.protocol),
        kind,
    };
    let mut table = u32::from(header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => route.destination.address = ip(to)?,
            RouteAttribute::Gateway(gateway) => route.gateway = ip(gateway),
            RouteAttribute::Oif(index) => route.link = *index,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Table(id) => table = *id,
            _ => {}
        }
    }
    (table == u32::from(RouteHeader::RT_TABLE_MAIN)).then_some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}
