//! Picks the addresses under which others reach the node; owns `NodeAddresses`.
//!
//! They are the global addresses of network cards, and what the config puts elsewhere. Addresses of a CNI's bridges and
//! tunnels are not among them.

use std::collections::BTreeMap;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{AddressStatus, LinkStatus, NodeAddresses, RouteStatus, Scope};
use corten_store::Kind;
use ipnet::IpNet;

use super::kernel::links;

/// The controller.
#[derive(Debug)]
pub(super) struct NodeAddressesController;

impl Controller for NodeAddressesController {
    fn name(&self) -> &'static str {
        "network/node_addresses"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[AddressStatus::NAME, RouteStatus::NAME, LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[NodeAddresses::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let addresses: Vec<AddressStatus> =
            ctx.list::<AddressStatus>().iter().map(|address| address.spec.clone()).collect();
        let routes: Vec<RouteStatus> =
            ctx.list::<RouteStatus>().iter().map(|route| route.spec.clone()).collect();
        let addresses = plan(&addresses, &routes, &links(ctx));
        ctx.put::<NodeAddresses>(NodeAddresses::ID, NodeAddresses { addresses })?;
        Ok(Next::Wait)
    }
}

fn plan(
    addresses: &[AddressStatus],
    routes: &[RouteStatus],
    links: &BTreeMap<String, LinkStatus>,
) -> Vec<IpNet> {
    let physical = |name: &str| links.get(name).is_some_and(|link| link.physical);
    let mut found: Vec<&AddressStatus> = addresses
        .iter()
        .filter(|address| address.usable && address.scope == Scope::Global)
        .filter(|address| address.managed || physical(&address.link))
        .collect();
    // Lower is better. IPv4 first, because it is what every cluster has; then the link that leads outside; then
    // addresses that somebody chose before those that the kernel made up.
    found.sort_by_key(|address| {
        let exit = exit_metric(&address.link, address.address, routes).unwrap_or(u32::MAX);
        (address.address.addr().is_ipv6(), exit, !address.managed, address.address)
    });
    found.dedup_by_key(|address| address.address);
    found.into_iter().map(|address| address.address).collect()
}

/// Metric of the best default route over a link, of the family of the address.
fn exit_metric(link: &str, address: IpNet, routes: &[RouteStatus]) -> Option<u32> {
    let default = |route: &&RouteStatus| {
        let same_family = route.destination.addr().is_ipv4() == address.addr().is_ipv4();
        route.link == link && route.destination.prefix_len() == 0 && same_family
    };
    routes.iter().filter(default).map(|route| route.metric).min()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::link;
    use super::*;

    fn address(link: &str, net: &str, managed: bool) -> AddressStatus {
        let address = net.parse().unwrap();
        AddressStatus { link: link.into(), address, scope: Scope::Global, managed, usable: true }
    }

    fn default_route(link: &str, metric: u32) -> RouteStatus {
        let destination = "0.0.0.0/0".parse().unwrap();
        RouteStatus { destination, gateway: None, link: link.into(), metric, managed: true }
    }

    fn check(addresses: &[AddressStatus], routes: &[RouteStatus], expect: &[&str]) {
        let cni = corten_resources::network::LinkStatus { physical: false, ..link(9) };
        let links = BTreeMap::from([
            ("eth0".to_owned(), link(2)),
            ("eth1".to_owned(), link(3)),
            ("cni0".to_owned(), cni),
        ]);
        let found: Vec<String> = plan(addresses, routes, &links).iter().map(ToString::to_string).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn addresses_of_a_cni_are_left_out() {
        check(
            &[address("cni0", "10.244.0.1/24", false), address("eth0", "10.0.2.15/24", true)],
            &[],
            &["10.0.2.15/24"],
        );
    }

    #[test]
    fn the_primary_address_is_on_the_way_outside() {
        let both = [address("eth0", "10.0.0.5/24", true), address("eth1", "192.0.2.5/24", true)];
        check(&both, &[default_route("eth1", 1024)], &["192.0.2.5/24", "10.0.0.5/24"]);
        let routes = [default_route("eth1", 1024), default_route("eth0", 100)];
        check(&both, &routes, &["10.0.0.5/24", "192.0.2.5/24"]);
    }

    #[test]
    fn ipv4_comes_before_ipv6_and_link_local_never() {
        let mut local = address("eth0", "fe80::1/64", false);
        local.scope = Scope::Link;
        let all = [local, address("eth0", "2001:db8::5/64", false), address("eth0", "10.0.2.15/24", true)];
        check(&all, &[], &["10.0.2.15/24", "2001:db8::5/64"]);
    }

    #[test]
    fn a_tentative_address_has_to_wait() {
        let mut tentative = address("eth0", "2001:db8::5/64", true);
        tentative.usable = false;
        check(&[tentative], &[], &[]);
    }
}
