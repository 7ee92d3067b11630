//! Values that do not fit together, and what is legal but odd.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod common;

use common::expect::{check, check_document, expect};
use common::{controlplane, parse, with, worker};
use corten_config::{Code, Severity};

#[test]
fn roles_and_keys() {
    use Code::Contradiction;
    let worker_with_role = worker().replace("role: worker", "role: controlplane");
    let found = parse(&worker_with_role).unwrap_err();
    assert_eq!(found.errors().count(), 6, "{found}");
    assert!(
        found.errors().all(|item| item.code == Contradiction && item.message.contains("needs")),
        "{found}"
    );

    let controlplane_with_role = controlplane().replace("role: controlplane", "role: worker");
    let found = parse(&controlplane_with_role).unwrap_err();
    assert_eq!(found.errors().count(), 6, "{found}");
    assert!(found.errors().all(|item| item.message.contains("does not belong on a worker")), "{found}");

    check_document("Etcd", "", Contradiction, "does not belong on a worker", "remove");
    check(
        &controlplane().replace("role: controlplane", "role: «contolplane»"),
        &expect(Code::BadValue, "`role` cannot be", "controlplane"),
    );
}

#[test]
fn halves_of_different_authorities_are_told() {
    let other = corten_pki::Ca::generate("other", corten_pki::KeyType::Ed25519).unwrap();
    let mut config = common::config(controlplane());
    config.machine.ca.certificate = other.cert_pem;
    check(
        &config.to_yaml(),
        &expect(Code::Contradiction, "does not belong to its certificate", "same secrets bundle"),
    );
    config.machine.ca.certificate = common::generated().admin.cert_pem.clone();
    check(
        &config.to_yaml(),
        &expect(Code::BadValue, "not that of a certificate authority", "own certificate"),
    );
}

#[test]
fn cluster_values() {
    use Code::{BadValue, Contradiction, OutOfRange};
    let mut base = common::config(worker());
    base.cluster.pod_subnets = vec!["10.1.0.0/16".parse().unwrap()];
    base.cluster.service_subnets = vec!["10.2.0.0/16".parse().unwrap()];
    let yaml = base.to_yaml();
    for (old, new, code, message, help) in [
        ("- 10.2.0.0/16", "- «10.1.128.0/17»", Contradiction, "overlap", "move one"),
        ("- 10.2.0.0/16", "- «10.2.0.1/16»", BadValue, "bits set beyond the prefix", "10.2.0.0/16"),
        ("- 10.2.0.0/16", "- «10.2.0.0/30»", OutOfRange, "no range of the size", "/12 to /28"),
        ("- 10.1.0.0/16", "- «10.1.0.0/25»", OutOfRange, "no range of the size", "/8 to /24"),
        ("- 10.2.0.0/16", "- 10.2.0.0/16\n- «10.3.0.0/16»", Contradiction, "same IP family", "one of IPv4"),
        (
            "- 10.2.0.0/16",
            "- 10.2.0.0/16\n- fd00::/108",
            Contradiction,
            "podSubnets has none",
            "add an IPv6 range",
        ),
        (
            "https://192.0.2.10:6443",
            "«http://192.0.2.10:6443»",
            BadValue,
            "https://",
            "https://192.0.2.10:6443",
        ),
        ("https://192.0.2.10:6443", "«192.0.2.10»", BadValue, "https://", "https://192.0.2.10:6443"),
        ("https://192.0.2.10:6443", "«https://h/path»", BadValue, "wrong value", "https://h:6443"),
        (
            "https://192.0.2.10:6443",
            "«https://10.1.2.3:6443»",
            Contradiction,
            "cluster's own range",
            "machines' network",
        ),
        (
            "https://192.0.2.10:6443",
            "«https://127.0.0.1:6443»",
            Contradiction,
            "no other machine",
            "every machine",
        ),
    ] {
        assert!(yaml.contains(old), "{yaml}");
        check(&yaml.replace(old, new), &expect(code, message, help));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table")]
fn contradictions_in_other_documents() {
    use Code::{Contradiction, MissingKey};
    for (kind, body, code, message, help) in [
        ("Link", "dhcp4: true\n", MissingKey, "neither `name` nor `match`", "match"),
        (
            "Link",
            "name: a\nmatch: {mac: \"52:54:00:00:00:01\"}\ndhcp4: true\n",
            Contradiction,
            "both",
            "keep one",
        ),
        ("Link", "match: {}\ndhcp4: true\n", Contradiction, "every link", "busPath"),
        ("Link", "name: a\nmtu: «900»\naddresses: [2001:db8::1/64]\n", Contradiction, "IPv6 needs", "1280"),
        ("Link", "name: a\nup: «false»\ndhcp4: true\n", Contradiction, "stays down", "up: false"),
        (
            "Link",
            "name: a\naddresses: [«192.0.2.0/24»]\n",
            Contradiction,
            "network's own address",
            "own address",
        ),
        (
            "Link",
            "name: a\naddresses: [«10.244.1.1/24»]\n",
            Contradiction,
            "cluster's own range",
            "podSubnets",
        ),
        (
            "Link",
            "name: a\naddresses: [192.0.2.1/24, «192.0.2.1/24»]\n",
            Contradiction,
            "given twice",
            "one place",
        ),
        (
            "Link",
            "name: a\ndhcp4: true\nroutes: [{to: ::/0, via: «192.0.2.1»}]\n",
            Contradiction,
            "another IP family",
            "same family",
        ),
        (
            "Link",
            "name: a\naddresses: [192.0.2.1/24]\nroutes: [{to: 0.0.0.0/0, via: «192.0.2.1»}]\n",
            Contradiction,
            "own address",
            "router's",
        ),
        (
            "Kubelet",
            "nodeLabels: {kubernetes.io/os: «bsd»}\n",
            Contradiction,
            "set by the node itself",
            "remove",
        ),
        (
            "Kubelet",
            "nodeTaints: [\"a=b:NoExecute\", «a=c:NoExecute»]\n",
            Contradiction,
            "already a taint",
            "one of them",
        ),
        (
            "Kubelet",
            "extraConfig: {imageGCHighTresholdPercent: «5»}\n",
            Code::UnknownKey,
            "has no field",
            "imageGCHighThresholdPercent",
        ),
        ("Kubelet", "extraConfig: {clusterDomain: «x»}\n", Contradiction, "OS's own", "Cluster.domain"),
        (
            "Registry",
            "host: a.b\nmirrors: [{endpoint: «http://a.c», skipVerify: true}]\n",
            Contradiction,
            "no certificate",
            "https://",
        ),
        ("Install", "«disk»: {}\n", MissingKey, "would fit every disk", "at least one of size, model"),
        ("Sysctl", "settings: {kernel/modprobe: «x»}\n", Contradiction, "OS's own", "modules"),
        ("Time", "enabled: false\n«servers»: [192.0.2.1]\n", Contradiction, "not kept", "remove"),
        ("Hostname", "hostname: «localhost»\n", Contradiction, "every machine", "of its own"),
    ] {
        check_document(kind, body, code, message, help);
    }
    let text = with(controlplane(), "APIServer", "extraArgs: {service-cluster-ip-range: «x»}\n");
    check(&text, &expect(Contradiction, "OS's own", "Cluster.serviceSubnets"));
}

#[test]
fn doubts_are_warnings_and_do_not_refuse() {
    for (kind, body, message) in [
        ("Link", "name: a\n", "gets no address"),
        ("Link", "name: a\naddresses: [192.0.2.1/24]\n", "no name servers"),
        ("Link", "name: a\ndhcp4: true\naddresses: [192.0.2.1/24]\n", "asks DHCP for one, too"),
        (
            "Link",
            "name: a\naddresses: [192.0.2.1/24]\nroutes: [{to: 0.0.0.0/0, via: 192.0.3.1}]\n",
            "not in the network",
        ),
        ("Registry", "host: a.b\n", "changes nothing"),
        ("Registry", "host: a.b\nmirrors: [{endpoint: https://a.c, skipVerify: true}]\n", "pose as"),
    ] {
        let config = common::config(&with(worker(), kind, body));
        let warnings = config.warnings();
        assert!(warnings.iter().any(|item| item.message.contains(message)), "{body}: {warnings:?}");
        assert!(
            warnings.iter().all(|item| item.severity == Severity::Warning && item.line > 0),
            "{warnings:?}"
        );
    }
}
