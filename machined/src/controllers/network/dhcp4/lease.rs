//! What a lease means for the node.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use corten_resources::network::{
    AddressSpec, HostnameSpec, Layer, LinkSpec, OperatorSpec, ResolverSpec, RouteSpec, TimeServerSpec,
};
use corten_sys::packet::DhcpReply;
use ipnet::{IpNet, Ipv4Net};

/// Shortest lease that we take at its word. A server that says less would have us ask without end.
const SHORTEST: Duration = Duration::from_secs(10);
/// Smallest MTU that an IPv4 host must support; servers have been seen to send 0.
const SMALLEST_MTU: u16 = 576;

/// An acknowledged lease.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lease {
    pub(super) reply: DhcpReply,
    /// When the server said yes.
    pub(super) since: Instant,
}

/// The resources that follow from a lease.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Specs {
    pub(super) links: Vec<(String, LinkSpec)>,
    pub(super) addresses: Vec<(String, AddressSpec)>,
    pub(super) routes: Vec<(String, RouteSpec)>,
    pub(super) resolvers: Vec<(String, ResolverSpec)>,
    pub(super) hostnames: Vec<(String, HostnameSpec)>,
    pub(super) time_servers: Vec<(String, TimeServerSpec)>,
}

impl Lease {
    /// The leased address with its network.
    pub(super) fn net(&self) -> Ipv4Net {
        Ipv4Net::new(self.reply.address, self.reply.prefix_length.min(32))
            .unwrap_or_else(|_| self.reply.address.into())
    }

    /// How long it lasts; none is forever.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        let seconds = self.reply.lease_seconds;
        (seconds != u32::MAX).then(|| Duration::from_secs(seconds.into()).max(SHORTEST))
    }

    /// When it ends.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.since.checked_add(self.lifetime()?)
    }

    /// T1: when to ask the server for more time; half of the life unless the server says otherwise.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.part(self.reply.renew_seconds, 1, 2)
    }

    /// T2: when to ask any server; seven eighths of the life.
    pub(super) fn rebind_at(&self) -> Option<Instant> {
        self.part(self.reply.rebind_seconds, 7, 8)
    }

    /// The server's time when it lies within the life, else the fraction of it.
    fn part(&self, said: Option<u32>, numerator: u32, denominator: u32) -> Option<Instant> {
        let life = self.lifetime()?;
        let said = said
            .map(|seconds| Duration::from_secs(seconds.into()))
            .filter(|said| !said.is_zero() && *said < life);
        self.since.checked_add(said.unwrap_or(life * numerator / denominator))
    }

    /// What it asks for on its link.
    pub(super) fn specs(&self, operator: &OperatorSpec) -> Specs {
        let link = &operator.link;
        let layer = Layer::Dhcp;
        let id = format!("{}/{link}", layer.as_str());
        let net = IpNet::V4(self.net());
        let mut specs = Specs {
            addresses: vec![(format!("{id}/{net}"), AddressSpec { link: link.clone(), address: net, layer })],
            ..Specs::default()
        };
        for (destination, gateway) in self.routes() {
            let route =
                RouteSpec { destination, gateway, link: link.clone(), metric: operator.metric, layer };
            specs.routes.push((format!("{id}/{destination}"), route));
        }
        let reply = &self.reply;
        if let Some(mtu) = reply.mtu.filter(|mtu| *mtu >= SMALLEST_MTU) {
            let spec = LinkSpec { link: link.clone(), layer, up: None, mtu: Some(mtu.into()) };
            specs.links.push((id.clone(), spec));
        }
        if !reply.nameservers.is_empty() || !reply.search.is_empty() {
            let nameservers = reply.nameservers.iter().copied().map(IpAddr::V4).collect();
            specs
                .resolvers
                .push((id.clone(), ResolverSpec { nameservers, search: reply.search.clone(), layer }));
        }
        if let Some(hostname) = reply.hostname.clone() {
            specs.hostnames.push((id.clone(), HostnameSpec { hostname, layer }));
        }
        if !reply.time_servers.is_empty() {
            let servers = reply.time_servers.iter().map(Ipv4Addr::to_string).collect();
            specs.time_servers.push((id, TimeServerSpec { servers, enabled: true, layer }));
        }
        specs
    }

    /// Classless routes replace the router option (RFC 3442). A gateway outside of our network gets a route to itself on
    /// the link first, as some clouds expect.
    fn routes(&self) -> Vec<(IpNet, Option<IpAddr>)> {
        let reply = &self.reply;
        let everything = Ipv4Net::default();
        let mut routes: Vec<(Ipv4Net, Option<Ipv4Addr>)> = if reply.routes.is_empty() {
            reply.routers.first().map(|router| (everything, Some(*router))).into_iter().collect()
        } else {
            let on_link = |via: Ipv4Addr| (!via.is_unspecified()).then_some(via);
            let route = |(to, length, via): &(Ipv4Addr, u8, Ipv4Addr)| {
                Some((Ipv4Net::new(*to, *length).ok()?.trunc(), on_link(*via)))
            };
            reply.routes.iter().filter_map(route).collect()
        };
        let reachable = |gateway: &Ipv4Addr, routes: &[(Ipv4Net, Option<Ipv4Addr>)]| {
            self.net().contains(gateway)
                || routes.iter().any(|(to, via)| via.is_none() && to.contains(gateway))
        };
        let gateways: Vec<Ipv4Addr> = routes.iter().filter_map(|(_, via)| *via).collect();
        for gateway in gateways {
            if !reachable(&gateway, &routes) {
                routes.push((Ipv4Net::from(gateway), None));
            }
        }
        routes.into_iter().map(|(to, via)| (IpNet::V4(to), via.map(IpAddr::V4))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{ack, lease, operator};
    use super::*;

    fn routes(reply: DhcpReply) -> Vec<String> {
        let lease = Lease { reply, since: Instant::now() };
        let text = |(to, via): (IpNet, Option<IpAddr>)| {
            format!("{to} {}", via.map_or("link".into(), |ip| ip.to_string()))
        };
        lease.routes().into_iter().map(text).collect()
    }

    #[test]
    fn the_router_becomes_the_default_route() {
        assert_eq!(routes(ack()), ["0.0.0.0/0 10.0.2.2"]);
    }

    #[test]
    fn classless_routes_replace_the_router() {
        let any = Ipv4Addr::UNSPECIFIED;
        let reply = DhcpReply {
            routes: vec![([10, 0, 2, 9].into(), 32, any), (any, 0, [10, 0, 2, 9].into())],
            ..ack()
        };
        assert_eq!(routes(reply), ["10.0.2.9/32 link", "0.0.0.0/0 10.0.2.9"]);
    }

    #[test]
    fn a_gateway_outside_of_the_network_gets_a_route_of_its_own() {
        let reply = DhcpReply { prefix_length: 32, routers: vec![[172, 31, 1, 1].into()], ..ack() };
        assert_eq!(routes(reply), ["0.0.0.0/0 172.31.1.1", "172.31.1.1/32 link"]);
    }

    #[test]
    fn times_are_the_servers_or_the_usual_fractions() {
        let lease = lease(Instant::now());
        let after = |at: Option<Instant>| at.map(|at| (at - lease.since).as_secs());
        assert_eq!(
            (after(lease.renew_at()), after(lease.rebind_at()), after(lease.expires())),
            (Some(1800), Some(3150), Some(3600))
        );
        let strange = DhcpReply { renew_seconds: Some(600), rebind_seconds: Some(9999), ..ack() };
        let lease = Lease { reply: strange, since: lease.since };
        assert_eq!((after(lease.renew_at()), after(lease.rebind_at())), (Some(600), Some(3150)));
    }

    #[test]
    fn a_lease_may_last_forever_but_not_an_instant() {
        let forever = Lease { reply: DhcpReply { lease_seconds: u32::MAX, ..ack() }, since: Instant::now() };
        assert_eq!((forever.expires(), forever.renew_at()), (None, None));
        let never = Lease { reply: DhcpReply { lease_seconds: 0, ..ack() }, since: Instant::now() };
        assert_eq!(never.lifetime(), Some(SHORTEST));
    }

    #[test]
    fn each_option_becomes_a_resource_of_the_dhcp_layer() {
        let reply = DhcpReply {
            nameservers: vec![[10, 0, 2, 3].into()],
            search: vec!["example.test".into()],
            time_servers: vec![[10, 0, 2, 4].into()],
            hostname: Some("n7".into()),
            mtu: Some(1450),
            ..ack()
        };
        let specs = Lease { reply, since: Instant::now() }.specs(&operator());
        assert_eq!(specs.addresses[0].0, "dhcp/eth0/10.0.2.15/24");
        assert_eq!((specs.routes[0].1.metric, specs.routes[0].1.layer), (1024, Layer::Dhcp));
        assert_eq!(specs.links[0].1.mtu, Some(1450));
        assert_eq!(specs.resolvers[0].1.search, ["example.test"]);
        assert_eq!(specs.hostnames[0].1.hostname, "n7");
        assert_eq!(specs.time_servers[0].1.servers, ["10.0.2.4"]);
        let bad = Lease { reply: DhcpReply { mtu: Some(0), ..ack() }, since: Instant::now() };
        assert_eq!(bad.specs(&operator()).links, []);
    }
}
