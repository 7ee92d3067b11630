//! The cluster's ranges: sizes that Kubernetes takes, families that fit, nothing that overlaps.

use ipnet::IpNet;

use super::{Checker, Place};
use crate::diagnostic::Code;
use crate::report::Finding;

/// Prefix lengths that kube-controller-manager and kube-apiserver take, for IPv4 and IPv6: each node gets a /24 or a
/// /64 out of the pod range and at most 2^16 nodes fit; the tenth service address is the cluster's DNS.
const POD_PREFIXES: [std::ops::RangeInclusive<u8>; 2] = [8..=24, 48..=64];
const SERVICE_PREFIXES: [std::ops::RangeInclusive<u8>; 2] = [12..=28, 64..=124];

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    let Some(cluster) = &checker.documents.cluster else { return };
    sizes(checker, "podSubnets", &cluster.pod_subnets, &POD_PREFIXES);
    sizes(checker, "serviceSubnets", &cluster.service_subnets, &SERVICE_PREFIXES);
    families(checker, "podSubnets", &cluster.pod_subnets);
    families(checker, "serviceSubnets", &cluster.service_subnets);
    same_families(checker, &cluster.pod_subnets, &cluster.service_subnets);
    overlaps(checker, &cluster.pod_subnets, &cluster.service_subnets);
    endpoint(checker, cluster.endpoint.host(), &cluster.pod_subnets, &cluster.service_subnets);
}

fn sizes(
    checker: &mut Checker<'_, '_>,
    key: &'static str,
    subnets: &[IpNet],
    allowed: &[std::ops::RangeInclusive<u8>; 2],
) {
    for (index, net) in subnets.iter().enumerate() {
        let range = &allowed[usize::from(is_ipv6(net))];
        if !range.contains(&net.prefix_len()) {
            let text = format!("a prefix of /{} to /{}", range.start(), range.end());
            let message = format!("Kubernetes takes no range of the size of {net} in {key}");
            let finding = Finding::error(Code::OutOfRange, message, format!("give {text}"));
            let finding = finding.value(net.to_string()).allowed(text);
            checker.add(&Place::new("Cluster", 0, &[key, &index.to_string()]), finding);
        }
    }
}

fn families(checker: &mut Checker<'_, '_>, key: &'static str, subnets: &[IpNet]) {
    if let [one, two] = subnets
        && is_ipv6(one) == is_ipv6(two)
    {
        let message = format!("{one} and {two} in {key} are of the same IP family");
        checker.contradiction(
            &Place::new("Cluster", 0, &[key, "1"]),
            message,
            "give one range, or one of IPv4 and one of IPv6",
        );
    }
}

fn same_families(checker: &mut Checker<'_, '_>, pods: &[IpNet], services: &[IpNet]) {
    let has = |nets: &[IpNet], ipv6| nets.iter().any(|net| is_ipv6(net) == ipv6);
    // A service range without pods of that family could reach nothing.
    for (ipv6, family) in [(false, "IPv4"), (true, "IPv6")] {
        if has(services, ipv6) && !has(pods, ipv6) {
            let message = format!("serviceSubnets has an {family} range and podSubnets has none");
            let hint = format!("add an {family} range to podSubnets, or remove it from serviceSubnets");
            checker.contradiction(&Place::new("Cluster", 0, &["serviceSubnets"]), message, hint);
        }
    }
}

fn overlaps(checker: &mut Checker<'_, '_>, pods: &[IpNet], services: &[IpNet]) {
    for (index, service) in services.iter().enumerate() {
        for pod in pods.iter().filter(|pod| overlap(pod, service)) {
            let message = format!("the pod range {pod} and the service range {service} overlap");
            let place = ["serviceSubnets", &index.to_string()];
            checker.contradiction(&Place::new("Cluster", 0, &place), message, "move one of them");
        }
    }
}

fn endpoint(checker: &mut Checker<'_, '_>, host: &str, pods: &[IpNet], services: &[IpNet]) {
    let Ok(address) = host.parse::<std::net::IpAddr>() else { return };
    if let Some(net) = pods.iter().chain(services).find(|net| net.contains(&address)) {
        let message = format!("the endpoint {address} lies in the cluster's own range {net}");
        checker.contradiction(
            &Place::new("Cluster", 0, &["endpoint"]),
            message,
            "give an address of the machines' network, or move the range",
        );
    }
    if address.is_loopback() || address.is_unspecified() {
        let message = format!("no other machine reaches the endpoint {address}");
        checker.contradiction(
            &Place::new("Cluster", 0, &["endpoint"]),
            message,
            "give an address or a name that every machine reaches",
        );
    }
}

/// Whether two ranges share an address.
pub(super) fn overlap(one: &IpNet, two: &IpNet) -> bool {
    one.contains(two) || two.contains(one)
}

fn is_ipv6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}
