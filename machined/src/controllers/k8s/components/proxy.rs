//! kube-proxy, in nftables mode. <https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables>

use corten_constants::ports;
use corten_resources::runtime::{Probe, Requirement, ServiceSpec};
use serde_json::json;

use super::{Component, File, command, go_environment, health, loopback, secret};
use crate::controllers::k8s::inputs::Inputs;

const NAME: &str = "kube-proxy";
const CONFIG: &str = "/etc/kubernetes/kube-proxy.json";

/// The Service proxy of this node.
pub(super) fn kube_proxy(inputs: &Inputs) -> Component {
    let config = File::json(
        CONFIG,
        &json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "bindAddress": "0.0.0.0",
            "clientConnection": { "kubeconfig": secret(NAME, "kubeconfig") },
            "clusterCIDR": inputs.pod_cidrs(),
            "healthzBindAddress": loopback(ports::KUBE_PROXY_HEALTH).to_string(),
            "hostnameOverride": inputs.node_name,
            "metricsBindAddress": "127.0.0.1:10249",
            "mode": "nftables",
            "nodePortAddresses": ["primary"],
        }),
    );
    let probe = Probe::Http { address: loopback(ports::KUBE_PROXY_HEALTH), path: "/healthz".into() };
    let mut requires = Vec::new();
    if inputs.is_control_plane() {
        requires.push(Requirement::Service("kube-apiserver".into()));
    }
    let service = ServiceSpec {
        command: command(NAME, vec![format!("--config={CONFIG}")]),
        environment: go_environment(&[("PATH", "/usr/bin:/usr/sbin")]),
        capabilities: Some(capabilities()),
        no_new_privileges: true,
        requires,
        readiness: Some(probe.clone()),
        health: Some(health(probe, 15_000)),
        oom_score_adj: -999,
        stop_timeout_ms: 3_000,
        ..ServiceSpec::default()
    };
    Component::new(vec![config], service, &inputs.secrets_digest(NAME))
}

/// Rules and routes, and sysctls below /proc/sys/net that belong to root.
fn capabilities() -> Vec<String> {
    ["CAP_NET_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYS_RESOURCE"].map(str::to_owned).to_vec()
}
