//! Each kind of mistake that a single document can have, and what is said about it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod common;

use common::expect::{check, check_document, expect};
use common::{controlplane, parse, with, worker};
use corten_config::{Code, Diagnostic, Diagnostics};

#[test]
fn keys_and_types() {
    use Code::{BadValue, DuplicateKey, MissingKey, OutOfRange, UnknownKey, WrongType};
    for (kind, body, code, message, help) in [
        (
            "Link",
            "name: eth0\n«adresses»: []\ndhcp4: true\n",
            UnknownKey,
            "unknown key `adresses` in Link",
            "addresses",
        ),
        ("Link", "name: eth0\n«gateway»: x\ndhcp4: true\n", UnknownKey, "unknown key `gateway`", "remove it"),
        (
            "Link",
            "name: eth0\ndhcp4: true\nroutes: [{to: ::/0, «vai»: ::1}]\n",
            UnknownKey,
            "unknown key `vai` in `routes`",
            "via",
        ),
        (
            "Link",
            "name: eth0\ndhcp4: true\n«dhcp4»: false\n",
            DuplicateKey,
            "`dhcp4` is already set in line",
            "keep one",
        ),
        ("Link", "name: eth0\ndhcp4: «yes»\n", WrongType, "true or false", "did you mean true"),
        ("Link", "name: eth0\ndhcp4: «\"true\"»\n", WrongType, "true or false", "without quotes"),
        ("Link", "name: eth0\ndhcp4: true\nmtu: «big»\n", WrongType, "whole number", "68 to 65535"),
        ("Link", "name: eth0\ndhcp4: true\nmtu: «\"1500\"»\n", WrongType, "whole number", "without quotes"),
        (
            "Link",
            "name: eth0\ndhcp4: true\nmtu: «70000»\n",
            OutOfRange,
            "`mtu` is out of range",
            "68 to 65535",
        ),
        ("Link", "name: eth0\naddresses: «192.0.2.1/24»\n", WrongType, "is a list", "[192.0.2.1/24]"),
        ("Link", "name: «[eth0]»\ndhcp4: true\n", WrongType, "is a text, and here is a list", "write a text"),
        (
            "Link",
            "name: eth0\ndhcp4: true\nroutes: [«default»]\n",
            WrongType,
            "is a mapping",
            "keys and values",
        ),
        (
            "Link",
            "name: eth0\ndhcp4: true\nroutes: [{metric: 5}]\n",
            MissingKey,
            "`to` is missing in `routes`",
            "add to",
        ),
        ("Hostname", "", MissingKey, "`hostname` is missing in Hostname", "add hostname"),
        ("Hostname", "hostname: «Worker_1»\n", BadValue, "`hostname` has a wrong value", "worker-1"),
        ("Hostname", "hostname:\n", WrongType, "here is nothing", "give a value"),
        (
            "Resolver",
            "nameservers: [192.0.2.1, «192.0.2.300»]\n",
            BadValue,
            "not an IP address",
            "IPv4 or IPv6",
        ),
        ("Resolver", "nameservers: «[::1, ::2, ::3, ::4]»\n", OutOfRange, "4 items", "at most 3"),
        ("Kubelet", "nodeTaints: [«a=b:NoSchedul»]\n", BadValue, "is no effect", "a=b:NoSchedule"),
        ("Kubelet", "nodeLabels: {«-a»: b}\n", BadValue, "wrong key", "label key"),
        ("Kubelet", "maxPods: «0»\n", OutOfRange, "out of range", "1 to 1024"),
        (
            "Kubelet",
            "extraConfig: {maxOpenFiles: «.inf»}\n",
            BadValue,
            "not a number that can be kept",
            "quotes",
        ),
        ("Sysctl", "settings: {«../etc»: 1}\n", BadValue, "wrong key", "/proc/sys"),
    ] {
        check_document(kind, body, code, message, help);
    }
}

#[test]
fn disks_sizes_and_durations() {
    use Code::{BadValue, MissingKey, OutOfRange, UnknownKey, WrongType};
    for (kind, body, code, message, help) in [
        ("Install", "", MissingKey, "`disk` is missing in Install", "add disk"),
        ("Install", "disk: {«modle»: x}\n", UnknownKey, "unknown key `modle` in `disk`", "model"),
        ("Install", "disk: {size: «20G»}\n", BadValue, "\"G\" is no unit", "20GiB"),
        ("Install", "disk: {size: «large»}\n", BadValue, "does not start with a number", "100GiB..1TiB"),
        ("Install", "disk: {transport: «nmve»}\n", BadValue, "`transport` cannot be \"nmve\"", "nvme"),
        ("Install", "disk: {rotational: «no»}\n", WrongType, "true or false", "did you mean false"),
        ("Install", "disk: {byId: «/dev/disk/by-id/wwn-0x5»}\n", BadValue, "path and not a name", "wwn-0x5"),
        ("UpdatePolicy", "healthDeadline: «10 m»\n", BadValue, "is no unit", "10m"),
        ("UpdatePolicy", "healthDeadline: «5s»\n", BadValue, "too short", "30s"),
        ("UpdatePolicy", "soak: «1h»\n", BadValue, "too long", "10m"),
        ("UpdatePolicy", "tries: «0»\n", OutOfRange, "`tries` is out of range", "1 to 9"),
    ] {
        check_document(kind, body, code, message, help);
    }
}

#[test]
fn forms_of_yaml_that_are_refused() {
    for (body, message, help) in [
        ("hostname: «&a» x\n", "anchors", "write"),
        ("hostname: «*a»\n", "aliases", "write the value out"),
        ("hostname: !!str x\n", "tags", "quote"),
        ("hostname: {[a]: x}\n", "single word", "quotes"),
        ("hostname: \"x\n", "not valid YAML", "quotes"),
        ("\thostname: x\n", "not valid YAML", "indent"),
        ("hostname: x\n}\n", "not valid YAML", "brackets"),
    ] {
        let text = with(worker(), "Hostname", body).replace(['«', '»'], "");
        let found = parse(&text).unwrap_err();
        let hit =
            |item: &Diagnostic| item.code == Code::Syntax && item.message.contains(message) && item.line > 0;
        assert!(found.errors().any(|item| hit(item) && item.hint.contains(help)), "{body}: {found}");
    }
}

#[test]
fn headers() {
    use Code::{ApiVersion, UnknownKind};
    let cases = [
        ("apiVersion: corten.dev/v1\nkind: «Lnik»\n", UnknownKind, "unknown kind \"Lnik\"", "Link"),
        (
            "apiVersion: corten.dev/v1\nkind: «Deployment»\n",
            UnknownKind,
            "unknown kind",
            "not Kubernetes objects",
        ),
        ("apiVersion: «corten.dev/v2»\nkind: Etcd\n", ApiVersion, "unknown apiVersion", "corten.dev/v1"),
        ("kind: Time\n", ApiVersion, "`apiVersion` is missing", "add apiVersion"),
        ("apiVersion: corten.dev/v1\nhostname: x\n", UnknownKind, "`kind` is missing", "add kind"),
        ("«just text»\n", Code::WrongType, "a document is a mapping", "apiVersion"),
    ];
    for (document, code, message, help) in cases {
        check(&format!("{}---\n{document}", controlplane()), &expect(code, message, help));
    }
}

#[test]
fn whole_configs() {
    use Code::{DuplicateDocument, MissingDocument};
    let without = |kind: &str| {
        let of_kind = |text: &&str| text.contains(&format!("kind: {kind}\n"));
        let documents: Vec<&str> = worker().split("\n---\n").filter(|text| !of_kind(text)).collect();
        documents.join("\n---\n")
    };
    check(
        &without("Machine"),
        &expect(MissingDocument, "the document Machine is missing", "osctl gen config"),
    );
    check(
        &without("Cluster"),
        &expect(MissingDocument, "the document Cluster is missing", "osctl gen config"),
    );
    for (kind, body) in [
        ("Hostname", "hostname: a\n"),
        ("Link", "name: a\ndhcp4: true\n"),
        ("Registry", "host: a.b\nmirrors: [{endpoint: http://a.b}]\n"),
    ] {
        let text = with(&with(worker(), kind, body), kind, body);
        check(&text, &expect(DuplicateDocument, "there is already a", "merge"));
    }
    let found = parse("").unwrap_err();
    assert_eq!(found.errors().filter(|item| item.code == MissingDocument).count(), 2, "{found}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = with(worker(), "Link", "nmae: a\ndhcp4: yes\nmtu: 1\n");
    let text = with(&text, "Hostname", "hostname: A B\n").replace("role: worker", "role: wroker");
    let found = parse(&text).unwrap_err();
    assert_eq!(found.errors().count(), 5, "{found}");
    let lines: Vec<usize> = found.items.iter().map(|item| item.line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    assert!(found.to_string().ends_with("5 errors"), "{found}");
}

#[test]
fn a_thousand_mistakes_are_not_all_printed() {
    let body: String = (0..1000).map(|number| format!("k{number}: 1\n")).collect();
    let found = parse(&with(worker(), "Etcd", &body)).unwrap_err();
    assert_eq!(found.items.len(), 100);
    assert!(found.items.last().unwrap().hint.contains("900 more"), "{found}");
}

#[test]
fn no_message_shows_a_secret() {
    const SECRET: &str = "hunter2hunter2";
    let broken = |old: &str, new: &str| {
        let text = worker().replacen(old, new, 1);
        assert_ne!(text, worker(), "{old}");
        text
    };
    let token = worker().lines().find(|line| line.starts_with("token: ")).unwrap();
    for text in [
        broken(token, &format!("token: {SECRET}")),
        broken(token, &format!("tokne: {SECRET}")),
        broken(token, &format!("token: [{SECRET}]")),
        broken(token, &format!("token: \"{SECRET}")),
        broken(token, &format!("token: {{a: {SECRET}}}")),
        broken(token, &format!("token: @{SECRET}")),
        broken(token, &format!("token: {SECRET}: x")),
        broken(token, &format!("token: \"{SECRET}\" x")),
        broken(token, &format!("x: a: {SECRET}{SECRET}{SECRET}{SECRET}")),
        broken(token, &format!("{token}\ntoken: {SECRET}")),
        broken("apiVersion: corten.dev/v1\nkind: Machine", &format!("token2: {SECRET}\nkind: Machien")),
        broken("ca:\n", &format!("ca: {{key: {SECRET}, foo: 1}}\ncb:\n")),
    ] {
        let found: Diagnostics = parse(&text).unwrap_err();
        let json = serde_json::to_string(&found).unwrap();
        assert!(!found.to_string().contains(SECRET) && !json.contains(SECRET), "{found}");
    }
}

#[test]
fn the_report_reads_well() {
    let text = "apiVersion: corten.dev/v1\nkind: Link\nname: eth0\nadresses:\n  - 192.0.2.1\nmtu: 70000\n";
    let found = parse(text).unwrap_err();
    insta::assert_snapshot!(found.to_string());
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_line() {
    let found =
        corten_config::Config::parse_bytes(b"a: b\n\xff\xfe", &corten_config::Source::new("x")).unwrap_err();
    assert_eq!((found.items[0].line, found.items[0].code), (2, Code::Syntax));
}
