//! Keeps our routes in the kernel equal to the `RouteSpec` resources.
//!
//! A route is ours when it carries our protocol number. A route waits until its link is up and has an address of the
//! same family: before, the kernel would refuse it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{AddressStatus, LinkStatus, RouteSpec, RouteStatus};
use corten_store::Kind;
use corten_sys::netlink::{Address, Netlink, NetlinkError, OWNER_PROTOCOL, Route, RouteKind};

use super::kernel::{links, prefix};

/// The controller.
#[derive(Debug)]
pub(super) struct RouteSpecController {
    pub(super) kernel: Netlink,
}

impl Controller for RouteSpecController {
    fn name(&self) -> &'static str {
        "network/route_spec"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[RouteSpec::NAME, RouteStatus::NAME, AddressStatus::NAME, LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let specs: Vec<RouteSpec> = ctx.list::<RouteSpec>().iter().map(|spec| spec.spec.clone()).collect();
        let addresses = self.kernel.addresses().await?;
        let want = wanted(&specs, &links(ctx), &addresses);
        let have = self.kernel.routes().await?;
        for step in plan(&want, &have) {
            apply(&step, &self.kernel).await?;
        }
        Ok(Next::Wait)
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Remove(Route),
    Add(Route),
}

/// What there should be now. Of two routes with the same destination and metric, the kernel can hold only one: the one of
/// the higher layer.
fn wanted(
    specs: &[RouteSpec],
    links: &BTreeMap<String, LinkStatus>,
    addresses: &[Address],
) -> BTreeSet<Route> {
    let mut ordered: Vec<&RouteSpec> = specs.iter().collect();
    ordered.sort_by_key(|spec| spec.layer);
    let mut routes = BTreeMap::new();
    for spec in ordered {
        let Some(link) = links.get(&spec.link).filter(|link| link.up) else { continue };
        let ip = spec.destination.addr();
        if !addresses.iter().any(|have| have.link == link.index && same_family(have.prefix.address, ip)) {
            continue;
        }
        let route = Route {
            destination: prefix(spec.destination.trunc()),
            gateway: spec.gateway,
            link: link.index,
            metric: spec.metric,
            protocol: OWNER_PROTOCOL,
            kind: RouteKind::Unicast,
        };
        routes.insert((route.destination, route.metric), route);
    }
    routes.into_values().collect()
}

fn same_family(left: IpAddr, right: IpAddr) -> bool {
    left.is_ipv4() == right.is_ipv4()
}

/// Removals come first, because a route that replaces one with the same key must not be removed with it. Routes on the
/// link come before routes through a gateway, which may need them.
fn plan(want: &BTreeSet<Route>, have: &[Route]) -> Vec<Step> {
    let ours: BTreeSet<Route> = have.iter().filter(|route| route.is_ours()).copied().collect();
    let remove = ours.difference(want).copied().map(Step::Remove);
    let mut add: Vec<Route> = want.difference(&ours).copied().collect();
    add.sort_by_key(|route| route.gateway.is_some());
    remove.chain(add.into_iter().map(Step::Add)).collect()
}

async fn apply(step: &Step, kernel: &Netlink) -> Result<(), NetlinkError> {
    match step {
        Step::Add(route) => {
            let (to, via) = (route.destination, route.gateway);
            tracing::info!(to = %to.address, length = to.length, ?via, metric = route.metric, "adding a route");
            kernel.put_route(route).await
        }
        Step::Remove(route) => {
            let (to, via) = (route.destination, route.gateway);
            tracing::info!(to = %to.address, length = to.length, ?via, metric = route.metric, "removing a route");
            match kernel.delete_route(route).await {
                Err(error) if error.is_gone() => Ok(()),
                other => other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::link;
    use super::*;
    use corten_resources::network::Layer;
    use corten_sys::netlink::AddressScope;

    fn spec(layer: Layer, gateway: Option<&str>, metric: u32) -> RouteSpec {
        RouteSpec {
            destination: "0.0.0.0/0".parse().unwrap(),
            gateway: gateway.map(|ip| ip.parse().unwrap()),
            link: "eth0".into(),
            metric,
            layer,
        }
    }

    fn address(net: &str) -> Address {
        let prefix = prefix(net.parse().unwrap());
        Address {
            link: 2,
            prefix,
            scope: AddressScope::Global,
            ours: true,
            tentative: false,
            deprecated: false,
        }
    }

    fn eth0(up: bool) -> BTreeMap<String, LinkStatus> {
        BTreeMap::from([("eth0".to_owned(), LinkStatus { up, ..link(2) })])
    }

    fn gateways(routes: &BTreeSet<Route>) -> Vec<Option<String>> {
        routes.iter().map(|route| route.gateway.map(|ip| ip.to_string())).collect()
    }

    #[test]
    fn a_route_waits_for_its_link_and_an_address() {
        let specs = [spec(Layer::Dhcp, Some("10.0.2.2"), 1024)];
        assert!(wanted(&specs, &BTreeMap::new(), &[address("10.0.2.15/24")]).is_empty());
        assert!(wanted(&specs, &eth0(false), &[address("10.0.2.15/24")]).is_empty());
        assert!(wanted(&specs, &eth0(true), &[address("fd00::1/64")]).is_empty());
        assert_eq!(wanted(&specs, &eth0(true), &[address("10.0.2.15/24")]).len(), 1);
    }

    #[test]
    fn config_wins_over_dhcp_for_the_same_key_only() {
        let addresses = [address("10.0.2.15/24")];
        let config = spec(Layer::Config, Some("10.0.2.9"), 1024);
        let same = [config.clone(), spec(Layer::Dhcp, Some("10.0.2.2"), 1024)];
        assert_eq!(gateways(&wanted(&same, &eth0(true), &addresses)), [Some("10.0.2.9".to_owned())]);
        let other = [config, spec(Layer::Dhcp, Some("10.0.2.2"), 512)];
        assert_eq!(wanted(&other, &eth0(true), &addresses).len(), 2);
    }

    #[test]
    fn routes_of_others_stay_and_link_routes_come_first() {
        let addresses = [address("10.0.2.15/32")];
        let on_link =
            RouteSpec { destination: "10.0.2.2/32".parse().unwrap(), ..spec(Layer::Dhcp, None, 1024) };
        let want = wanted(&[spec(Layer::Dhcp, Some("10.0.2.2"), 1024), on_link], &eth0(true), &addresses);
        let flannel = Route {
            destination: prefix("10.244.1.0/24".parse().unwrap()),
            gateway: Some("10.244.1.0".parse().unwrap()),
            link: 5,
            metric: 0,
            protocol: 2,
            kind: RouteKind::Unicast,
        };
        let steps = plan(&want, &[flannel]);
        let Step::Add(first) = &steps[0] else { panic!("{steps:?}") };
        assert_eq!((steps.len(), first.gateway), (2, None));
        let have: Vec<Route> = want.iter().copied().chain([flannel]).collect();
        assert_eq!(plan(&want, &have), []);
    }
}
