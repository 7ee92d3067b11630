//! Generated configs: whole, accepted by the parser, and free of what does not belong there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

use corten_config::{Config, GenOptions, Generated, Role, Source, generate};
use corten_pki::SecretsBundle;

fn options() -> GenOptions {
    let secrets = SecretsBundle::generate().unwrap();
    GenOptions::new("prod-1", "https://192.0.2.10:6443".parse().unwrap(), secrets)
}

fn parse(yaml: &str) -> Config {
    Config::parse(yaml, &Source::new("generated")).unwrap_or_else(|found| panic!("{found}\n{yaml}"))
}

#[test]
fn both_roles_parse_without_a_warning() {
    let Generated { controlplane_yaml, worker_yaml, .. } = generate(&options()).unwrap();
    let controlplane = parse(&controlplane_yaml);
    let worker = parse(&worker_yaml);
    assert_eq!(controlplane.machine.role, Role::Controlplane);
    assert_eq!(worker.machine.role, Role::Worker);
    assert!(controlplane.warnings().is_empty() && worker.warnings().is_empty());
    assert!(controlplane.cluster.ca.to_ca().unwrap().check().is_ok());
}

#[test]
fn a_worker_gets_no_private_key() {
    let generated = generate(&options()).unwrap();
    assert!(!generated.worker_yaml.contains("PRIVATE KEY"));
    assert!(generated.controlplane_yaml.contains("PRIVATE KEY"));
}

#[test]
fn the_administrator_has_the_role_in_the_certificate() {
    let options = options();
    let generated = generate(&options).unwrap();
    let info = corten_pki::inspect(&generated.admin.cert_pem).unwrap();
    assert_eq!(info.organizations, ["os:admin"]);
    assert_eq!(generated.ca_pem, options.secrets.os_ca.cert_pem);
}

#[test]
fn a_single_node_runs_workloads_and_others_do_not() {
    let mut options = options();
    let schedulable = |options: &GenOptions| {
        parse(&generate(options).unwrap().controlplane_yaml).cluster.allow_scheduling_on_control_plane
    };
    assert!(!schedulable(&options));
    options.single_node = true;
    assert!(schedulable(&options));
}

#[test]
fn additional_names_go_to_both_apis() {
    let mut options = options();
    options.additional_sans = vec!["kube.example.com".into()];
    let config = parse(&generate(&options).unwrap().controlplane_yaml);
    assert_eq!(config.machine.cert_sans, ["kube.example.com"]);
    assert_eq!(config.api_server.unwrap().cert_sans, ["kube.example.com"]);
}

#[test]
fn the_disk_to_install_to_is_in_both_configs() {
    let mut options = options();
    options.install = Some("size=>=20GiB,serial=a b".parse::<corten_config::DiskSelector>().unwrap().into());
    let Generated { controlplane_yaml, worker_yaml, .. } = generate(&options).unwrap();
    for yaml in [controlplane_yaml, worker_yaml] {
        assert_eq!(parse(&yaml).install(), options.install.as_ref(), "{yaml}");
    }
}

#[test]
fn what_the_node_would_refuse_is_not_generated() {
    let mut options = options();
    options.cluster_name = "Not A Name".into();
    let error = generate(&options).unwrap_err().to_string();
    assert!(error.contains("`name` has a wrong value"), "{error}");
}

#[test]
fn the_yaml_reads_well() {
    let yaml = generate(&options()).unwrap().controlplane_yaml;
    assert!(yaml.starts_with("# What this machine is"), "{yaml}");
    assert!(yaml.contains("apiVersion: corten.dev/v1\nkind: Machine\nrole: controlplane\n"), "{yaml}");
    // Keys and certificates as blocks, not as one line with escapes.
    assert!(yaml.contains("certificate: |\n"), "{yaml}");
    assert!(!yaml.contains("\\n"), "{yaml}");
}
