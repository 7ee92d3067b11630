//! Diffs: what changed, what it costs, and that secrets stay hidden.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod common;

use common::{config, controlplane, with, worker};
use corten_config::{Change, Config, Effect, diff};
use corten_pki::Secret;

fn changes(edit: impl FnOnce(&mut Config)) -> Vec<Change> {
    let old = config(controlplane());
    let mut new = old.clone();
    edit(&mut new);
    diff(&old, &new)
}

fn one(edit: impl FnOnce(&mut Config)) -> Change {
    let mut changes = changes(edit);
    assert_eq!(changes.len(), 1, "{changes:?}");
    changes.remove(0)
}

#[test]
fn nothing_changed_is_no_change() {
    assert!(changes(|_| {}).is_empty());
}

#[test]
fn each_change_tells_its_place_and_cost() {
    let change = one(|config| config.cluster.allow_scheduling_on_control_plane = true);
    assert_eq!((change.kind.as_str(), change.path.as_str()), ("Cluster", "allowSchedulingOnControlPlane"));
    assert_eq!((change.old, change.new), (Some(false.into()), Some(true.into())));
    assert_eq!(change.effect, Effect::Restart("kubernetes".into()));
    assert_eq!(one(|config| config.cluster.pod_subnets.clear()).effect, Effect::Reboot);
    assert_eq!(one(|config| config.machine.cert_sans.push("a.b".into())).effect, Effect::Live);
}

#[test]
fn a_nested_value_costs_what_the_field_around_it_costs() {
    let change = one(|config| config.cluster.etcd_ca.as_mut().unwrap().certificate = "x".into());
    assert_eq!((change.path.as_str(), change.effect), ("etcdCA.certificate", Effect::Restart("etcd".into())));
}

#[test]
fn secrets_stay_hidden() {
    let change = one(|config| config.machine.token = Secret::new("hunter2"));
    assert_eq!((change.old, change.new), (Some("<secret>".into()), Some("<secret>".into())));
    let change = one(|config| config.cluster.ca.key = None);
    assert_eq!((change.path.as_str(), change.old, change.new), ("ca.key", Some("<secret>".into()), None));
    let change = one(|config| config.cluster.aggregator_ca = None);
    assert_eq!(change.old.unwrap()["key"], "<secret>");
}

#[test]
fn documents_come_and_go_by_name() {
    let link =
        |name: &str, mtu: u32| with(worker(), "Link", &format!("name: {name}\ndhcp4: true\nmtu: {mtu}\n"));
    let old = config(&link("eth0", 1500));
    let same_link = diff(&old, &config(&link("eth0", 9000)));
    assert_eq!(same_link.len(), 1);
    assert_eq!((same_link[0].name.as_deref(), same_link[0].path.as_str()), (Some("eth0"), "mtu"));
    assert_eq!(same_link[0].effect, Effect::Live);
    let other_link = diff(&old, &config(&link("eth1", 1500)));
    let names: Vec<_> =
        other_link.iter().map(|change| (change.name.as_deref().unwrap(), change.new.is_some())).collect();
    assert_eq!(names, [("eth0", false), ("eth1", true)]);
}

#[test]
fn a_new_document_costs_what_its_costliest_key_costs() {
    let with_kubelet = |body: &str| diff(&config(worker()), &config(&with(worker(), "Kubelet", body)));
    assert_eq!(with_kubelet("nodeLabels: {a: b}\n")[0].effect, Effect::Live);
    assert_eq!(with_kubelet("nodeLabels: {a: b}\nmaxPods: 5\n")[0].effect, Effect::Restart("kubelet".into()));
    let hostname = diff(&config(worker()), &config(&with(worker(), "Hostname", "hostname: a\n")));
    assert_eq!(hostname[0].effect, Effect::Reboot);
}

#[test]
fn order_and_form_of_the_text_do_not_matter() {
    let text = with(&with(worker(), "Time", "servers: [192.0.2.1]\n"), "Hostname", "hostname: a\n");
    let other = with(
        &with(worker(), "Hostname", "# a comment\nhostname: \"a\"\n"),
        "Time",
        "servers:\n  - 192.0.2.1\n",
    );
    let (one, two) = (config(&text), config(&other));
    assert!(diff(&one, &two).is_empty());
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn a_disk_to_install_to_and_a_policy_for_updates_interrupt_nothing() {
    let base = config(worker());
    let with_both = with(
        &with(worker(), "Install", "disk: {size: \">=20GiB\", busPath: \"*/virtio1/*\"}\nwipe: true\n"),
        "UpdatePolicy",
        "healthDeadline: 90s\ntries: 1\n",
    );
    let changed = config(&with_both);
    assert!(diff(&base, &changed).iter().all(|change| change.effect == Effect::Live));
    assert!(base.install().is_none() && changed.install().unwrap().wipe);
    let policy = changed.update_policy();
    assert_eq!((policy.health_deadline.as_secs(), policy.tries, policy.soak.as_secs()), (90, 1, 10));
    assert_eq!(base.update_policy().health_deadline.as_secs(), 600);
}
