//! Derives links, addresses, routes and operators from the `Link` documents.
//!
//! Without any such document, and in maintenance, every network card is set up with DHCPv4. With documents, cards that no
//! document is about are down. Before it is known which config the node has, cards are only brought up, since some take
//! seconds to find their carrier: a node with fixed addresses must not ask for others while STATE is still being mounted,
//! because whoever sees such an address (etcd, a certificate) would keep it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use corten_config::Link;
use corten_constants::labels;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::VolumeStatus;
use corten_resources::config::{ConfigSourceStatus, MachineConfig};
use corten_resources::network::{
    AddressSpec, Layer, LinkSpec, LinkStatus, OperatorKind, OperatorSpec, RouteSpec,
};
use corten_store::Kind;

use super::kernel::links;
use crate::controllers::config::active;

/// Metric of routes when nobody gives one. Below it is room for the operator's own.
const METRIC: u32 = 1024;
/// After this time without any word about a config, because the disk that should have it is not there, the defaults are used.
const PATIENCE: Duration = Duration::from_secs(30);

/// The controller.
#[derive(Debug)]
pub(super) struct LinkConfigController {
    started: Instant,
    /// The config is to be fetched over the network, so the network must come first.
    fetches: bool,
}

impl LinkConfigController {
    pub(super) fn new(fetches: bool) -> Self {
        Self { started: Instant::now(), fetches }
    }

    /// How long to wait for the config; none when what there is decides.
    fn patience(&self, ctx: &Context) -> Option<Duration> {
        let decided = ctx.get::<MachineConfig>(MachineConfig::ACTIVE).is_some()
            || ctx.get::<ConfigSourceStatus>(ConfigSourceStatus::ALL).is_some()
            || ctx.get::<VolumeStatus>(labels::STATE).is_some_and(|volume| volume.spec.is_failed())
            || (self.fetches && ctx.get::<ConfigSourceStatus>("state").is_some());
        let left = PATIENCE.saturating_sub(self.started.elapsed());
        (!decided && !left.is_zero()).then_some(left)
    }
}

impl Controller for LinkConfigController {
    fn name(&self) -> &'static str {
        "network/link_config"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[MachineConfig::NAME, ConfigSourceStatus::NAME, VolumeStatus::NAME, LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[LinkSpec::NAME, AddressSpec::NAME, RouteSpec::NAME, OperatorSpec::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let patience = self.patience(ctx);
        let mut wanted = if patience.is_some() {
            undecided(&links(ctx))
        } else {
            let config = active(ctx.store());
            plan(config.as_ref().map_or(&[], |config| config.links.as_slice()), &links(ctx))
        };
        wanted.add_loopback(&links(ctx));
        ctx.sync_owned::<LinkSpec>(wanted.links)?;
        ctx.sync_owned::<AddressSpec>(wanted.addresses)?;
        ctx.sync_owned::<RouteSpec>(wanted.routes)?;
        ctx.sync_owned::<OperatorSpec>(wanted.operators)?;
        Ok(patience.map_or(Next::Wait, Next::After))
    }
}

/// The resources that follow from the config.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    links: BTreeMap<String, LinkSpec>,
    addresses: BTreeMap<String, AddressSpec>,
    routes: BTreeMap<String, RouteSpec>,
    operators: BTreeMap<String, OperatorSpec>,
}

fn undecided(links: &BTreeMap<String, LinkStatus>) -> Wanted {
    let mut wanted = Wanted::default();
    for (name, _) in links.iter().filter(|(_, link)| link.physical) {
        wanted.add_link(name, Layer::Default, Some(true), None);
    }
    wanted
}

fn plan(documents: &[Link], links: &BTreeMap<String, LinkStatus>) -> Wanted {
    let mut wanted = Wanted::default();
    if documents.is_empty() {
        for (name, _) in links.iter().filter(|(_, link)| link.physical) {
            wanted.add_link(name, Layer::Default, Some(true), None);
            wanted.add_dhcp4(name, Layer::Default, links);
        }
        return wanted;
    }
    for (name, _) in links.iter().filter(|(_, link)| link.physical) {
        wanted.add_link(name, Layer::Default, Some(false), None);
    }
    for document in documents {
        for name in matching(document, links) {
            wanted.add_document(&name, document, links);
        }
    }
    wanted
}

/// Names of the links that a document is about: the one it names, there or not, or all network cards that fit.
fn matching(document: &Link, links: &BTreeMap<String, LinkStatus>) -> Vec<String> {
    if let Some(name) = &document.name {
        return vec![name.clone()];
    }
    let Some(selector) = &document.selector else { return Vec::new() };
    let fits = |wanted: &Option<String>, have: &Option<String>| {
        wanted.is_none() || wanted.as_deref().map(str::to_lowercase) == have.as_deref().map(str::to_lowercase)
    };
    let found = links.iter().filter(|(_, link)| {
        link.physical
            && fits(&selector.mac, &link.mac)
            && fits(&selector.driver, &link.driver)
            && fits(&selector.bus_path, &link.bus_path)
    });
    found.map(|(name, _)| name.clone()).collect()
}

impl Wanted {
    /// The kernel gives the loopback link its addresses when it comes up.
    fn add_loopback(&mut self, links: &BTreeMap<String, LinkStatus>) {
        for (name, _) in links.iter().filter(|(_, link)| link.loopback) {
            self.add_link(name, Layer::Default, Some(true), None);
        }
    }

    fn add_document(&mut self, name: &str, document: &Link, links: &BTreeMap<String, LinkStatus>) {
        let layer = Layer::Config;
        let id = format!("{}/{name}", layer.as_str());
        self.add_link(name, layer, Some(document.up), document.mtu);
        if !document.up {
            return;
        }
        if document.dhcp4 {
            self.add_dhcp4(name, layer, links);
        }
        for address in &document.addresses {
            let spec = AddressSpec { link: name.to_owned(), address: *address, layer };
            self.addresses.insert(format!("{id}/{address}"), spec);
        }
        for route in &document.routes {
            let destination = route.to.trunc();
            // The kernel makes 1024 of an IPv6 metric of 0; for IPv4, 0 would win over every other route.
            let metric = route.metric.filter(|metric| *metric != 0).unwrap_or(METRIC);
            let spec = RouteSpec { destination, gateway: route.via, link: name.to_owned(), metric, layer };
            self.routes.insert(format!("{id}/{destination}/{metric}"), spec);
        }
    }

    fn add_link(&mut self, name: &str, layer: Layer, up: Option<bool>, mtu: Option<u32>) {
        let spec = LinkSpec { link: name.to_owned(), layer, up, mtu };
        self.links.insert(format!("{}/{name}", layer.as_str()), spec);
    }

    /// Each card's routes get a metric of their own, in the order of the links, so that two default routes do not replace
    /// each other for ever.
    fn add_dhcp4(&mut self, name: &str, layer: Layer, links: &BTreeMap<String, LinkStatus>) {
        let index = links.get(name).map_or(0, |link| link.index);
        let spec =
            OperatorSpec { kind: OperatorKind::Dhcp4, link: name.to_owned(), metric: METRIC + index, layer };
        self.operators.insert(format!("dhcp4/{name}"), spec);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::link;
    use super::*;
    use corten_config::LinkMatch;

    fn machine() -> BTreeMap<String, LinkStatus> {
        let software = LinkStatus { physical: false, kind: Some("vxlan".into()), driver: None, ..link(9) };
        let loopback = LinkStatus { loopback: true, physical: false, driver: None, ..link(1) };
        BTreeMap::from([
            ("lo".to_owned(), loopback),
            ("eth0".to_owned(), link(2)),
            ("eth1".to_owned(), link(3)),
            ("flannel.1".to_owned(), software),
        ])
    }

    fn document() -> Link {
        Link {
            name: Some("eth0".into()),
            selector: None,
            dhcp4: false,
            addresses: vec!["192.0.2.10/24".parse().unwrap()],
            routes: vec![corten_config::Route {
                to: "0.0.0.0/0".parse().unwrap(),
                via: Some("192.0.2.1".parse().unwrap()),
                metric: None,
            }],
            mtu: Some(9000),
            up: true,
        }
    }

    #[test]
    fn without_documents_every_card_asks_dhcp_and_nothing_else_is_touched() {
        let wanted = plan(&[], &machine());
        assert_eq!(wanted.links.keys().collect::<Vec<_>>(), ["default/eth0", "default/eth1"]);
        assert_eq!(wanted.operators.keys().collect::<Vec<_>>(), ["dhcp4/eth0", "dhcp4/eth1"]);
        let metrics: Vec<u32> = wanted.operators.values().map(|operator| operator.metric).collect();
        assert_eq!(metrics, [METRIC + 2, METRIC + 3]);
        assert!(wanted.addresses.is_empty());
    }

    #[test]
    fn with_a_document_every_other_card_is_down_and_none_asks_dhcp() {
        let wanted = plan(&[document()], &machine());
        assert!(wanted.operators.is_empty());
        let links: Vec<_> = wanted.links.iter().map(|(id, spec)| (id.as_str(), spec.up)).collect();
        let (up, down) = (Some(true), Some(false));
        assert_eq!(links, [("config/eth0", up), ("default/eth0", down), ("default/eth1", down)]);
        assert_eq!(wanted.links["config/eth0"].mtu, Some(9000));
        assert!(wanted.addresses.contains_key("config/eth0/192.0.2.10/24"));
        assert_eq!(wanted.routes["config/eth0/0.0.0.0/0/1024"].gateway, Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_link_that_is_down_has_nothing_else() {
        let wanted = plan(&[Link { up: false, dhcp4: true, ..document() }], &machine());
        assert_eq!(wanted.links["config/eth0"].up, Some(false));
        assert!(wanted.addresses.is_empty() && wanted.routes.is_empty() && wanted.operators.is_empty());
    }

    #[test]
    fn a_card_is_found_by_its_properties() {
        let check = |selector: LinkMatch, expect: &[&str]| {
            let document = Link { name: None, selector: Some(selector), ..document() };
            assert_eq!(matching(&document, &machine()), expect);
        };
        let mac = LinkMatch { mac: Some("52:54:00:00:00:03".into()), ..LinkMatch::default() };
        check(mac.clone(), &["eth1"]);
        check(LinkMatch { driver: Some("virtio_net".into()), ..LinkMatch::default() }, &["eth0", "eth1"]);
        check(LinkMatch { bus_path: Some("0000:00:02.0".into()), ..LinkMatch::default() }, &["eth0"]);
        check(LinkMatch { driver: Some("e1000".into()), ..mac }, &[]);
    }

    #[test]
    fn before_the_config_is_known_cards_are_up_and_ask_for_nothing() {
        let wanted = undecided(&machine());
        assert_eq!(wanted.links.keys().collect::<Vec<_>>(), ["default/eth0", "default/eth1"]);
        assert!(wanted.links.values().all(|link| link.up == Some(true)) && wanted.operators.is_empty());
    }

    #[test]
    fn loopback_is_always_up() {
        let mut wanted = Wanted::default();
        wanted.add_loopback(&machine());
        assert_eq!(wanted.links["default/lo"].up, Some(true));
    }
}
