//! Links: how they are found, and addresses and routes that can work.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Checker, Place, cluster};
use crate::diagnostic::Code;
use crate::report::Finding;
use crate::types::network::link::{Link, LinkMatch};

/// Smallest packet of IPv6 (RFC 8200, section 5).
const IPV6_MTU_MIN: u32 = 1280;

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    let links = &checker.documents.links;
    for (index, link) in links.iter().enumerate() {
        identity(checker, index, link);
        addresses(checker, index, link);
        routes(checker, index, link);
    }
    shared_addresses(checker, links);
    names(checker, links);
}

fn identity(checker: &mut Checker<'_, '_>, index: usize, link: &Link) {
    let hint = "give the name, or `match` with mac, driver or busPath";
    match (&link.name, &link.selector) {
        (None, None) => {
            let finding = Finding::error(Code::MissingKey, "the Link has neither `name` nor `match`", hint);
            checker.add(&Place::new("Link", index, &[]), finding);
        }
        (Some(_), Some(_)) => {
            let message = "the Link has both `name` and `match`";
            checker.contradiction(&Place::new("Link", index, &["match"]), message, "keep one of the two");
        }
        (None, Some(selector)) if *selector == LinkMatch::default() => {
            let message = "`match` is empty and would fit every link";
            checker.contradiction(&Place::new("Link", index, &["match"]), message, hint);
        }
        _ => {}
    }
    if link.name.as_deref() == Some("lo") {
        let message = "the loopback link is the OS's own";
        checker.contradiction(&Place::new("Link", index, &["name"]), message, "configure another link");
    }
}

fn addresses(checker: &mut Checker<'_, '_>, index: usize, link: &Link) {
    let is_ipv6 = |net: &IpNet| matches!(net, IpNet::V6(_));
    if link.addresses.iter().any(is_ipv6) && link.mtu.is_some_and(|mtu| mtu < IPV6_MTU_MIN) {
        let message = format!("IPv6 needs an mtu of at least {IPV6_MTU_MIN}");
        let hint = format!("set mtu to {IPV6_MTU_MIN} or more, or remove the IPv6 addresses");
        checker.contradiction(&Place::new("Link", index, &["mtu"]), message, hint);
    }
    if link.dhcp4 && link.addresses.iter().any(|net| !is_ipv6(net)) {
        let message = "the link has fixed IPv4 addresses and asks DHCP for one, too";
        checker.warning(
            &Place::new("Link", index, &["dhcp4"]),
            message,
            "keep one of the two, unless both are meant",
        );
    }
    if link.up && !link.dhcp4 && link.addresses.is_empty() {
        let message = "the link is brought up and gets no address";
        checker.warning(&Place::new("Link", index, &[]), message, "set dhcp4: true or give addresses");
    }
    if !link.up && (link.dhcp4 || !link.addresses.is_empty()) {
        let message = "the link has addresses and stays down";
        checker.contradiction(
            &Place::new("Link", index, &["up"]),
            message,
            "remove up: false, or the addresses",
        );
    }
    for (number, net) in link.addresses.iter().enumerate() {
        let place = ["addresses", &number.to_string()];
        if let Some(reason) = unusable(net) {
            let message = format!("{net} cannot be the address of a machine: it is {reason}");
            checker.contradiction(
                &Place::new("Link", index, &place),
                message,
                "give the machine's own address",
            );
        }
        let ranges = checker.documents.cluster.iter();
        let ranges = ranges.flat_map(|cluster| cluster.pod_subnets.iter().chain(&cluster.service_subnets));
        if let Some(range) = ranges.copied().find(|range| cluster::overlap(range, net)) {
            let message = format!("{net} overlaps the cluster's own range {range}");
            let hint = "move Cluster.podSubnets or Cluster.serviceSubnets out of the machines' network";
            checker.contradiction(&Place::new("Link", index, &place), message, hint);
        }
    }
}

/// Why no machine can have this address.
fn unusable(net: &IpNet) -> Option<&'static str> {
    let address = net.addr();
    if address.is_loopback() {
        return Some("a loopback address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    if address.is_unspecified() {
        return Some("the unspecified address");
    }
    match net {
        IpNet::V4(net) if net.prefix_len() < 31 && net.addr() == net.network() => {
            Some("the network's own address")
        }
        IpNet::V4(net) if net.prefix_len() < 31 && net.addr() == net.broadcast() => {
            Some("the broadcast address")
        }
        _ => None,
    }
}

fn routes(checker: &mut Checker<'_, '_>, index: usize, link: &Link) {
    for (number, route) in link.routes.iter().enumerate() {
        let Some(via) = route.via else { continue };
        let place = ["routes", &number.to_string(), "via"];
        if via.is_ipv4() != route.to.addr().is_ipv4() {
            let message = format!("the route to {} goes via {via}, which is of another IP family", route.to);
            let hint = "give a router of the same family";
            checker.contradiction(&Place::new("Link", index, &place), message, hint);
        } else if !reachable(link, via) {
            let message = format!("the router {via} is not in the network of any address of this link");
            checker.warning(
                &Place::new("Link", index, &place),
                message,
                "check the address and the prefix length",
            );
        }
        if link.addresses.iter().any(|net| net.addr() == via) {
            let message = format!("the route to {} goes via the machine's own address {via}", route.to);
            checker.contradiction(&Place::new("Link", index, &place), message, "give the router's address");
        }
    }
}

/// Whether a router may be on this link: DHCP and link-local addresses are not known here.
fn reachable(link: &Link, via: IpAddr) -> bool {
    let link_local = match via {
        IpAddr::V4(via) => via.is_link_local(),
        IpAddr::V6(via) => via.is_unicast_link_local(),
    };
    link_local || (link.dhcp4 && via.is_ipv4()) || link.addresses.iter().any(|net| net.contains(&via))
}

fn shared_addresses(checker: &mut Checker<'_, '_>, links: &[Link]) {
    let mut owners: HashMap<IpAddr, usize> = HashMap::new();
    for (index, link) in links.iter().enumerate() {
        for (number, net) in link.addresses.iter().enumerate() {
            if owners.insert(net.addr(), index).is_some() {
                let message = format!("the address {} is given twice", net.addr());
                let place = ["addresses", &number.to_string()];
                checker.contradiction(&Place::new("Link", index, &place), message, "keep it in one place");
            }
        }
    }
}

/// A machine with fixed addresses only has no name server but those in `Resolver`.
fn names(checker: &mut Checker<'_, '_>, links: &[Link]) {
    let documents = checker.documents;
    let resolver = documents.resolver.as_ref().is_some_and(|resolver| !resolver.nameservers.is_empty());
    if !links.is_empty() && !resolver && links.iter().all(|link| !link.dhcp4) {
        let message = "no link uses DHCP and there are no name servers";
        checker.warning(&Place::new("Link", 0, &[]), message, "add a Resolver document with nameservers");
    }
}
