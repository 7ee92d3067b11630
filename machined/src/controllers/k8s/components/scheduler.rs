//! kube-scheduler. <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-scheduler/>

use std::collections::BTreeMap;

use corten_constants::{ids, ports};
use corten_resources::runtime::{Probe, Requirement, ServiceSpec};

use super::{Component, command, flags, health, loopback, secret, unprivileged};
use crate::controllers::k8s::inputs::Inputs;

const NAME: &str = "kube-scheduler";

/// The scheduler of this node.
pub(super) fn kube_scheduler(inputs: &Inputs) -> Component {
    let file = |name: &str| secret(NAME, name);
    let args = flags(
        &[
            ("authentication-kubeconfig", file("kubeconfig")),
            ("authorization-kubeconfig", file("kubeconfig")),
            ("bind-address", "127.0.0.1".into()),
            ("kubeconfig", file("kubeconfig")),
            ("leader-elect", "false".into()), // as in controller_manager.rs
            ("profiling", "false".into()),
            ("secure-port", ports::KUBE_SCHEDULER.to_string()),
            ("tls-cert-file", file("server.crt")),
            ("tls-private-key-file", file("server.key")),
        ],
        &BTreeMap::new(),
    );
    let probe = Probe::Https {
        address: loopback(ports::KUBE_SCHEDULER),
        path: "/healthz".into(),
        ca_file: file("ca.crt"),
    };
    let service = ServiceSpec {
        command: command(NAME, args),
        requires: vec![Requirement::Service("kube-apiserver".into())],
        readiness: Some(probe.clone()),
        health: Some(health(probe, 15_000)),
        oom_score_adj: -997,
        stop_timeout_ms: 5_000,
        ..unprivileged(ids::KUBE_SCHEDULER)
    };
    Component::new(Vec::new(), service, &inputs.secrets_digest(NAME))
}
