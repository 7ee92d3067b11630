//! kube-controller-manager. <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/>

use std::collections::BTreeMap;

use corten_constants::{ids, ports};
use corten_resources::runtime::{Probe, Requirement, ServiceSpec};

use super::{Component, command, flags, health, loopback, secret, unprivileged};
use crate::controllers::k8s::inputs::Inputs;

const NAME: &str = "kube-controller-manager";

/// The controller manager of this node.
pub(super) fn kube_controller_manager(inputs: &Inputs) -> Component {
    let file = |name: &str| secret(NAME, name);
    let args = flags(
        &[
            ("allocate-node-cidrs", "true".into()),
            ("authentication-kubeconfig", file("kubeconfig")),
            ("authorization-kubeconfig", file("kubeconfig")),
            ("bind-address", "127.0.0.1".into()),
            ("cluster-cidr", inputs.pod_cidrs()),
            ("cluster-name", inputs.cluster_name.clone()),
            ("cluster-signing-cert-file", file("ca.crt")),
            ("cluster-signing-key-file", file("ca.key")),
            ("kubeconfig", file("kubeconfig")),
            // With one control-plane node there is nobody to elect, and after a power cut a new leader would wait for
            // the old lease to run out.
            ("leader-elect", "false".into()),
            ("profiling", "false".into()),
            ("root-ca-file", file("ca.crt")),
            ("secure-port", ports::KUBE_CONTROLLER_MANAGER.to_string()),
            ("service-account-private-key-file", file("service-account.key")),
            ("service-cluster-ip-range", inputs.service_cidrs()),
            ("tls-cert-file", file("server.crt")),
            ("tls-private-key-file", file("server.key")),
            ("use-service-account-credentials", "true".into()),
        ],
        &BTreeMap::new(),
    );
    let probe = Probe::Https {
        address: loopback(ports::KUBE_CONTROLLER_MANAGER),
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
        ..unprivileged(ids::KUBE_CONTROLLER_MANAGER)
    };
    Component::new(Vec::new(), service, &inputs.secrets_digest(NAME))
}
