//! Each kind of mistake, and what is said about it. `«…»` marks the text that the caret must point at.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod common;

use common::{controlplane, parse, with, worker};
use corten_config::{Code, Diagnostic, Diagnostics, Severity};

/// What must be said.
struct Expect {
    code: Code,
    message: &'static str,
    /// A part of the suggestion or of the hint.
    help: &'static str,
}

const fn expect(code: Code, message: &'static str, help: &'static str) -> Expect {
    Expect { code, message, help }
}

/// Checks that `text` has exactly one error, at the mark, and that it says what is expected.
fn check(text: &str, expect: &Expect) {
    let (plain, place) = unmark(text);
    let found = match parse(&plain) {
        Ok(_) => panic!("no error in\n{plain}"),
        Err(found) => found,
    };
    let errors: Vec<&Diagnostic> = found.errors().collect();
    assert_eq!(errors.len(), 1, "{found}\n{plain}");
    let error = errors[0];
    assert_eq!(error.code, expect.code, "{error}");
    assert!(error.message.contains(expect.message), "{error}");
    let help = format!("{} {}", error.suggestion.as_deref().unwrap_or_default(), error.hint);
    assert!(help.contains(expect.help), "{error}");
    assert!(!error.hint.is_empty());
    if let Some((line, column, width)) = place {
        let snippet = error.snippet.as_ref().unwrap();
        assert_eq!((error.line, error.column, snippet.width), (line, column, width), "{error}");
    }
}

fn unmark(text: &str) -> (String, Option<(usize, usize, usize)>) {
    let Some((before, rest)) = text.split_once('«') else { return (text.to_owned(), None) };
    let (marked, after) = rest.split_once('»').unwrap();
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (format!("{before}{marked}{after}"), Some((line, column, marked.chars().count())))
}

/// Checks documents that are added to a worker's config.
fn check_document(kind: &str, body: &str, code: Code, message: &'static str, help: &'static str) {
    check(&with(worker(), kind, body), &expect(code, message, help));
}

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
