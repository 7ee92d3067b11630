//! Which certificates a node's components need: one table, pure.

use std::net::{IpAddr, Ipv4Addr};

use corten_constants::ids;
use corten_pki::Usage;

use crate::controllers::k8s::inputs::Inputs;

/// Which CA signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Issuer {
    Kubernetes,
    Aggregator,
    Etcd,
}

/// A certificate to make.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// Base name of the files: `<name>.crt`, `<name>.key`, or a kubeconfig of that name.
    pub(super) name: &'static str,
    pub(super) issuer: Issuer,
    pub(super) common_name: String,
    pub(super) organizations: Vec<String>,
    pub(super) dns_names: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) usage: Usage,
    /// Rendered as the kubeconfig of this component instead of two files.
    pub(super) kubeconfig: bool,
}

/// A component and its certificates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Needs {
    pub(super) component: &'static str,
    pub(super) uid: u32,
    pub(super) leaves: Vec<Leaf>,
}

/// The table for a node.
pub(super) fn plan(inputs: &Inputs, extra_names: &[String]) -> Vec<Needs> {
    let node = format!("system:node:{}", inputs.node_name);
    let kubelet = vec![
        client("kubeconfig", &node, &["system:nodes"]),
        Leaf { dns_names: vec![inputs.node_name.clone()], ..server(Issuer::Kubernetes, &node, inputs) },
    ];
    let mut all = vec![
        Needs { component: "kubelet", uid: ids::ROOT, leaves: kubelet },
        needs("kube-proxy", ids::ROOT, client("kubeconfig", "system:kube-proxy", &[])),
        needs("flanneld", ids::ROOT, client("kubeconfig", "corten:flannel", &[])),
    ];
    if inputs.is_control_plane() {
        all.extend(control_plane(inputs, extra_names));
    }
    all
}

fn control_plane(inputs: &Inputs, extra_names: &[String]) -> Vec<Needs> {
    let manager = |name: &'static str, uid| {
        let user = format!("system:{name}");
        let own = Leaf { addresses: vec![loopback()], ..server(Issuer::Kubernetes, name, inputs) };
        Needs { component: name, uid, leaves: vec![client("kubeconfig", &user, &[]), own] }
    };
    vec![
        etcd(inputs),
        apiserver(inputs, extra_names),
        manager("kube-controller-manager", ids::KUBE_CONTROLLER_MANAGER),
        manager("kube-scheduler", ids::KUBE_SCHEDULER),
        needs("machined", ids::ROOT, client("kubeconfig", "corten:machined", &["system:masters"])),
    ]
}

fn etcd(inputs: &Inputs) -> Needs {
    let names = vec!["localhost".to_owned(), inputs.node_name.clone()];
    let both = |name| Leaf {
        name,
        dns_names: names.clone(),
        usage: Usage::Both,
        ..server(Issuer::Etcd, &inputs.node_name, inputs)
    };
    Needs { component: "etcd", uid: ids::ETCD, leaves: vec![both("server"), both("peer")] }
}

fn apiserver(inputs: &Inputs, extra_names: &[String]) -> Needs {
    let domain = &inputs.domain;
    let mut own = server(Issuer::Kubernetes, "kube-apiserver", inputs);
    own.addresses.extend(inputs.api_service_addresses());
    own.dns_names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("kubernetes.default.svc.{domain}"), inputs.node_name.clone()])
        .collect();
    for name in extra_names.iter().map(String::as_str).chain(host_of(&inputs.endpoint)) {
        match name.parse() {
            Ok(address) => own.addresses.push(address),
            Err(_) => own.dns_names.push(name.to_owned()),
        }
    }
    own.addresses.sort_unstable();
    own.addresses.dedup();
    own.dns_names.sort_unstable();
    own.dns_names.dedup();
    let kubelet = Leaf { kubeconfig: false, ..client("kubelet-client", "corten:kube-apiserver", &[]) };
    let etcd = Leaf { issuer: Issuer::Etcd, ..kubelet.clone() };
    Needs {
        component: "kube-apiserver",
        uid: ids::KUBE_APISERVER,
        leaves: vec![
            own,
            kubelet,
            Leaf { name: "etcd-client", common_name: "kube-apiserver".into(), ..etcd.clone() },
            Leaf {
                name: "front-proxy-client",
                issuer: Issuer::Aggregator,
                common_name: "front-proxy-client".into(),
                ..etcd
            },
        ],
    }
}

fn needs(component: &'static str, uid: u32, leaf: Leaf) -> Needs {
    Needs { component, uid, leaves: vec![leaf] }
}

fn client(name: &'static str, common_name: &str, organizations: &[&str]) -> Leaf {
    Leaf {
        name,
        issuer: Issuer::Kubernetes,
        common_name: common_name.to_owned(),
        organizations: organizations.iter().map(|&name| name.to_owned()).collect(),
        dns_names: Vec::new(),
        addresses: Vec::new(),
        usage: Usage::Client,
        kubeconfig: name == "kubeconfig",
    }
}

/// A server certificate for loopback and every address of the node.
fn server(issuer: Issuer, common_name: &str, inputs: &Inputs) -> Leaf {
    let organizations = if common_name.starts_with("system:node:") { vec!["system:nodes"] } else { vec![] };
    Leaf {
        name: "server",
        issuer,
        addresses: std::iter::once(loopback()).chain(inputs.addresses.iter().copied()).collect(),
        usage: Usage::Server,
        kubeconfig: false,
        ..client("server", common_name, &organizations)
    }
}

fn loopback() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}

/// The host of a URL, without brackets and port.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next()?;
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next().filter(|host| !host.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::k8s::inputs::tests::single_node;

    fn leaf(component: &str, name: &str) -> Leaf {
        let all = plan(&single_node(), &["api.example.com".into()]);
        let needs = all.into_iter().find(|needs| needs.component == component).unwrap();
        needs.leaves.into_iter().find(|leaf| leaf.name == name).unwrap()
    }

    #[test]
    fn the_api_server_is_known_by_every_name_that_clients_use() {
        let server = leaf("kube-apiserver", "server");
        for name in ["kubernetes.default.svc", "api.example.com", "localhost"] {
            assert!(server.dns_names.iter().any(|have| have == name), "{name}");
        }
        for address in ["10.96.0.1", "127.0.0.1", "10.0.2.15"] {
            assert!(server.addresses.contains(&address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_kubelet_may_only_speak_for_its_node() {
        let client = leaf("kubelet", "kubeconfig");
        assert_eq!(client.common_name, "system:node:n1");
        assert_eq!(client.organizations, ["system:nodes"]);
        assert_eq!(client.usage, Usage::Client);
    }

    #[test]
    fn only_the_node_agent_is_a_master() {
        for needs in plan(&single_node(), &[]) {
            let master =
                needs.leaves.iter().any(|leaf| leaf.organizations.iter().any(|o| o == "system:masters"));
            assert_eq!(master, needs.component == "machined", "{}", needs.component);
        }
    }

    #[test]
    fn hosts_are_found_in_urls() {
        for (url, host) in [
            ("https://a.b:6443", "a.b"),
            ("https://[fd00::1]:6443/", "fd00::1"),
            ("https://10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(host_of(url), Some(host), "{url}");
        }
    }
}
