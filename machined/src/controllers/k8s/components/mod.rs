//! The programs of a node, each as files plus a `ServiceSpec`. Pure: nothing here does I/O.

mod apiserver;
mod containerd;
mod controller_manager;
mod etcd;
mod flannel;
mod kubelet;
mod proxy;
mod scheduler;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use corten_constants::{ids, paths};
use corten_resources::runtime::{CgroupLimits, HealthCheck, Probe, Requirement, ServiceSpec};

use super::inputs::Inputs;
use crate::digest::sha256;
pub use containerd::{Endpoint, Mirror, SANDBOX_IMAGE, containerd, forget_registries};

/// A file that a component reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner, and group of the same number.
    pub uid: u32,
    /// Content.
    pub content: String,
}

impl File {
    fn new(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self { path: path.into(), mode: 0o644, uid: ids::ROOT, content: content.into() }
    }

    fn json(path: impl Into<String>, value: &serde_json::Value) -> Self {
        Self::new(path, format!("{value:#}\n"))
    }
}

/// A component: what to write, and what to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Files, written before the service starts.
    pub files: Vec<File>,
    /// The service.
    pub service: ServiceSpec,
}

impl Component {
    /// Ties the service to its inputs: a change of a file or of a secret restarts it.
    fn new(files: Vec<File>, mut service: ServiceSpec, secrets_digest: &str) -> Self {
        let inputs = files.iter().flat_map(|file| [file.path.as_str(), &file.content]);
        service.restart_on = sha256(inputs.chain([secrets_digest]));
        Self { files, service }
    }
}

/// All components of this node but containerd, by service name.
pub fn plan(inputs: &Inputs) -> BTreeMap<&'static str, Component> {
    let mut all = BTreeMap::new();
    all.insert("kubelet", kubelet::kubelet(inputs));
    #[cfg(feature = "faults")]
    all.retain(|_, _| !crate::faults::is("no-kubelet"));
    if inputs.is_control_plane() && !inputs.etcd {
        return all;
    }
    all.insert("kube-proxy", proxy::kube_proxy(inputs));
    all.insert("flanneld", flannel::flanneld(inputs));
    if inputs.is_control_plane() {
        all.insert("etcd", etcd::etcd(inputs));
        all.insert("kube-apiserver", apiserver::kube_apiserver(inputs));
        all.insert("kube-controller-manager", controller_manager::kube_controller_manager(inputs));
        all.insert("kube-scheduler", scheduler::kube_scheduler(inputs));
    }
    all
}

/// Path of a secret file of a component.
pub fn secret(component: &str, file: &str) -> String {
    format!("{}/{component}/{file}", paths::SECRETS)
}

/// A service that runs as its own user and has no capability.
fn unprivileged(uid: u32) -> ServiceSpec {
    ServiceSpec {
        user: Some(uid),
        capabilities: Some(Vec::new()),
        no_new_privileges: true,
        ..ServiceSpec::default()
    }
}

/// A program of the control plane that works through this node's API server: its own user, its own kubeconfig, and a port
/// that only the health check reaches.
fn api_client(name: &str, uid: u32, port: u16, own: Vec<(&str, String)>, inputs: &Inputs) -> Component {
    let file = |file: &str| secret(name, file);
    let mut args = vec![
        ("authentication-kubeconfig", file("kubeconfig")),
        ("authorization-kubeconfig", file("kubeconfig")),
        ("bind-address", "127.0.0.1".into()),
        ("kubeconfig", file("kubeconfig")),
        // With one control-plane node there is nobody to elect, and after a power cut a new leader would wait for the
        // old lease to run out.
        ("leader-elect", "false".into()),
        ("profiling", "false".into()),
        ("secure-port", port.to_string()),
        ("tls-cert-file", file("server.crt")),
        ("tls-private-key-file", file("server.key")),
    ];
    args.extend(own);
    let probe = Probe::Https { address: loopback(port), path: "/healthz".into(), ca_file: file("ca.crt") };
    let service = ServiceSpec {
        command: command(name, flags(&args, &BTreeMap::new())),
        requires: vec![Requirement::Service("kube-apiserver".into())],
        readiness: Some(probe.clone()),
        health: Some(health(probe, 15_000)),
        environment: go_environment(&[]),
        oom_score_adj: -997,
        stop_timeout_ms: 5_000,
        ..unprivileged(uid)
    };
    Component::new(Vec::new(), service, &inputs.secrets_digest(name))
}

/// `--name=value` for each pair, in order; later pairs of the same name replace earlier ones.
fn flags(ours: &[(&str, String)], overrides: &BTreeMap<String, String>) -> Vec<String> {
    let kept = ours.iter().filter(|(name, _)| !overrides.contains_key(*name));
    kept.map(|(name, value)| format!("--{name}={value}"))
        .chain(overrides.iter().map(|(name, value)| format!("--{name}={value}")))
        .collect()
}

/// What a Go program finds in its environment. It collects garbage twice as often as it would by itself: on an idle control
/// plane, that is some 90 MiB less for no processor time that shows.
fn go_environment(own: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = [("GOGC", "50")].iter().chain(own);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Everything else waits for these two, so they come first where the processors are short: while images are imported at
/// boot, or when pods take all they can get. The default weight is 100.
fn first_in_line() -> CgroupLimits {
    CgroupLimits { cpu_weight: Some(400), ..CgroupLimits::default() }
}

/// Polls a probe every `interval_ms`; three misses make the service unhealthy.
fn health(probe: Probe, interval_ms: u64) -> HealthCheck {
    HealthCheck { probe, interval_ms, timeout_ms: 10_000, failures: 3 }
}

/// A port of this node that nobody else reaches.
fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn command(program: &str, args: Vec<String>) -> Vec<String> {
    std::iter::once(format!("/usr/bin/{program}")).chain(args).collect()
}

#[cfg(test)]
mod tests {
    use super::super::inputs::tests::single_node;
    use super::*;

    #[test]
    fn before_bootstrap_a_control_plane_runs_only_the_kubelet() {
        let inputs = Inputs { etcd: false, ..single_node() };
        assert_eq!(plan(&inputs).into_keys().collect::<Vec<_>>(), ["kubelet"]);
    }

    #[test]
    fn the_control_plane_has_no_privileges() {
        let all = plan(&single_node());
        for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let service = &all[name].service;
            assert_eq!(service.capabilities, Some(vec![]), "{name}");
            assert!(service.user.is_some_and(|uid| uid != 0), "{name}");
            assert!(service.no_new_privileges, "{name}");
        }
    }

    #[test]
    fn an_override_replaces_the_flag_of_the_same_name() {
        let overrides = BTreeMap::from([("v".to_owned(), "4".to_owned())]);
        assert_eq!(flags(&[("v", "0".into()), ("a", "b".into())], &overrides), ["--a=b", "--v=4"]);
    }

    #[test]
    fn a_changed_secret_changes_what_restarts_the_service() {
        let old = single_node();
        let secrets = BTreeMap::from([("etcd".to_owned(), "new".to_owned())]);
        let new = Inputs { secrets, ..old.clone() };
        assert_ne!(plan(&old)["etcd"].service.restart_on, plan(&new)["etcd"].service.restart_on);
        assert_eq!(plan(&old)["kubelet"].service.restart_on, plan(&new)["kubelet"].service.restart_on);
    }

    #[test]
    fn no_component_listens_without_tls_beyond_loopback() {
        for (name, component) in plan(&single_node()) {
            for arg in &component.service.command {
                assert!(!arg.contains("http://0.0.0.0") && !arg.contains("insecure"), "{name}: {arg}");
            }
        }
    }
}
