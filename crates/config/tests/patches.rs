//! Patches: what merges, what is replaced, and that a patch can make nothing that a node would refuse.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod common;

use common::{config, controlplane, with, worker};
use corten_config::{Code, Config, Diagnostics, Source};

const HEADER: &str = "apiVersion: corten.dev/v1\nkind: ";

fn patch(base: &Config, text: &str) -> Result<Config, Diagnostics> {
    base.patch(text, &Source::new("patch.yaml"))
}

fn patched(base: &Config, text: &str) -> Config {
    patch(base, text).unwrap_or_else(|found| panic!("{found}"))
}

fn base() -> Config {
    let link = "name: eth0\ndhcp4: true\nroutes:\n  - {to: 10.0.0.0/8, via: 192.0.2.1, metric: 5}\n";
    config(&with(
        &with(worker(), "Link", link),
        "Kubelet",
        "nodeLabels: {a: b, c: d}\nnodeTaints: [x:NoExecute]\n",
    ))
}

#[test]
fn an_empty_patch_changes_nothing() {
    assert_eq!(patched(&base(), ""), base());
    assert_eq!(patched(&base(), "[]"), base());
}

#[test]
fn a_partial_document_is_merged() {
    let after = patched(
        &base(),
        &format!("{HEADER}Kubelet\nnodeLabels: {{a: null, e: \"1.10\"}}\nnodeTaints: [y:NoExecute]\n"),
    );
    let kubelet = after.kubelet.unwrap();
    let labels: Vec<_> =
        kubelet.node_labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("c", "d"), ("e", "1.10")]);
    assert_eq!(kubelet.node_taints, ["y:NoExecute"]);
}

#[test]
fn routes_merge_by_their_destination() {
    let after = patched(
        &base(),
        &format!(
            "{HEADER}Link\nname: eth0\nroutes:\n  - {{to: 10.0.0.0/8, metric: 7}}\n  - {{to: 172.16.0.0/12}}\n"
        ),
    );
    let routes: Vec<_> = after.links[0]
        .routes
        .iter()
        .map(|route| (route.to.to_string(), route.via.is_some(), route.metric))
        .collect();
    assert_eq!(routes, [("10.0.0.0/8".into(), true, Some(7)), ("172.16.0.0/12".into(), false, None)]);
}

#[test]
fn documents_are_added_and_taken_away() {
    let after = patched(
        &base(),
        &format!("{HEADER}Link\nname: eth1\ndhcp4: true\n---\n{HEADER}Kubelet\n$delete: true\n"),
    );
    assert_eq!(after.links.len(), 2);
    assert!(after.kubelet.is_none());
    let found = patch(&base(), &format!("{HEADER}Etcd\n$delete: true\n")).unwrap_err();
    assert!(found.to_string().contains("no Etcd document to delete"), "{found}");
}

#[test]
fn operations_name_the_document_first() {
    let after = patched(
        &base(),
        "- {op: test, path: /Machine/role, value: worker}\n- {op: add, path: '/Link:eth0/mtu', value: 9000}\n\
         - {op: remove, path: /Kubelet/nodeLabels/a}\n- {op: add, path: /Hostname, value: {hostname: n1}}\n",
    );
    assert_eq!(after.links[0].mtu, Some(9000));
    assert_eq!(after.hostname.unwrap().hostname, "n1");
    assert_eq!(after.kubelet.unwrap().node_labels.len(), 1);
}

#[test]
fn mistakes_in_a_patch_are_told_with_their_place() {
    for (text, line, code, message) in [
        (format!("{HEADER}Link\nname: eth0\nmtv: 5\n"), 4, Code::UnknownKey, "unknown key `mtv`"),
        (format!("{HEADER}Link\nname: eth0\nmtu: x\n"), 4, Code::WrongType, "whole number"),
        (format!("{HEADER}Lnk\n"), 2, Code::UnknownKind, "unknown kind"),
        ("- {op: remove, path: /Nope/a}\n".into(), 1, Code::BadValue, "fails"),
        (
            "- {op: add, path: /Machine/role, value: worker}\n- {op: remove, path: /Machine/x}\n".into(),
            2,
            Code::BadValue,
            "fails",
        ),
        ("- {op: add, path: /Deployment, value: {}}\n".into(), 1, Code::UnknownKind, "unknown kind"),
        ("- {op: replace, path: '', value: 5}\n".into(), 1, Code::BadValue, "gone"),
        ("- {op: nope, path: /a}\n".into(), 1, Code::WrongType, "not a JSON patch"),
    ] {
        let found = patch(&base(), &text).unwrap_err();
        let first = &found.items[0];
        assert_eq!((first.line, first.code), (line, code), "{found}");
        assert!(first.message.contains(message), "{found}");
    }
}

#[test]
fn a_patch_cannot_make_what_a_node_refuses() {
    for text in [
        format!("{HEADER}Cluster\nserviceSubnets: [10.244.0.0/16]\n"),
        format!("{HEADER}Machine\nrole: controlplane\n"),
        format!("{HEADER}Machine\n$delete: true\n"),
        format!("{HEADER}Machine\ntoken: null\n"),
        "- {op: remove, path: /Cluster}\n".into(),
        "- {op: add, path: /Cluster/foo, value: 1}\n".into(),
    ] {
        let found = patch(&base(), &text).unwrap_err();
        assert!(found.errors().count() > 0, "{text}");
    }
}

#[test]
fn no_message_about_a_patch_shows_a_secret() {
    let base = config(controlplane());
    for text in [
        format!("{HEADER}Machine\ntoken: hunter2hunter2\n"),
        "- {op: add, path: /Machine/tokne, value: hunter2hunter2}\n".into(),
        "- {op: add, path: /Machine/token, value: hunter2hunter2}\n".into(),
        "- {op: add, path: /x/y, value: hunter2hunter2}\n".into(),
    ] {
        let found = patch(&base, &text).unwrap_err();
        assert!(!found.to_string().contains("hunter2"), "{found}");
    }
}
