//! kubelet. <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>

use corten_constants::{labels, paths, ports};
use corten_resources::runtime::{Directory, Probe, Requirement, ServiceSpec};
use serde_json::{Value, json};

use super::{Component, File, command, go_environment, health, loopback, secret};
use crate::controllers::k8s::inputs::Inputs;

const NAME: &str = "kubelet";
const CONFIG: &str = "/etc/kubernetes/kubelet.json";
const PLUGIN_DIR: &str = "/var/lib/kubelet/volumeplugins";

/// The kubelet of this node. Runs as root: it mounts volumes and owns the cgroups of pods.
pub(super) fn kubelet(inputs: &Inputs) -> Component {
    let node_ips: Vec<String> = inputs.node_ips.iter().take(1).map(ToString::to_string).collect();
    let mut args = vec![
        format!("--config={CONFIG}"),
        format!("--kubeconfig={}", secret(NAME, "kubeconfig")),
        format!("--hostname-override={}", inputs.node_name),
        format!("--node-ip={}", node_ips.first().cloned().unwrap_or_default()),
    ];
    if !inputs.node_labels.is_empty() {
        let labels: Vec<_> =
            inputs.node_labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        args.push(format!("--node-labels={}", labels.join(",")));
    }
    let probe = Probe::Http { address: loopback(ports::KUBELET_HEALTH), path: "/healthz".into() };
    let service = ServiceSpec {
        command: command(NAME, args),
        environment: go_environment(&[("PATH", "/usr/bin:/usr/sbin")]),
        requires: vec![Requirement::Path(paths::CONTAINERD_SOCKET.into())],
        directories: vec![
            Directory { path: "/var/lib/kubelet".into(), mode: 0o750, uid: 0 },
            Directory { path: PLUGIN_DIR.into(), mode: 0o755, uid: 0 },
            Directory { path: "/var/log/pods".into(), mode: 0o755, uid: 0 },
            Directory { path: "/var/log/containers".into(), mode: 0o755, uid: 0 },
        ],
        readiness: Some(probe.clone()),
        health: Some(health(probe, 10_000)),
        oom_score_adj: -999,
        stop_timeout_ms: 5_000,
        ..ServiceSpec::default()
    };
    let config = File::json(CONFIG, &configuration(inputs));
    Component::new(vec![config], service, &inputs.secrets_digest(NAME))
}

fn configuration(inputs: &Inputs) -> Value {
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": secret(NAME, "ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "cgroupDriver": "cgroupfs",
        "clusterDNS": inputs.dns_addresses(),
        "clusterDomain": inputs.domain,
        "containerRuntimeEndpoint": format!("unix://{}", paths::CONTAINERD_SOCKET),
        "enableServer": true,
        "failSwapOn": false,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": ports::KUBELET_HEALTH,
        "logging": { "format": "text" },
        "port": ports::KUBELET,
        "registerWithTaints": taints(inputs),
        "resolvConf": "/etc/resolv.conf",
        "rotateCertificates": false,
        "seccompDefault": true,
        "tlsCertFile": secret(NAME, "server.crt"),
        "tlsPrivateKeyFile": secret(NAME, "server.key"),
        "tlsMinVersion": "VersionTLS13",
        "volumePluginDir": PLUGIN_DIR,
    });
    if let Some(fields) = config.as_object_mut() {
        if let Some(max) = inputs.max_pods {
            fields.insert("maxPods".into(), max.into());
        }
        fields.extend(inputs.kubelet_overrides.clone());
    }
    config
}

/// Taints at registration: the operator's, and the control plane's own unless it takes workloads.
fn taints(inputs: &Inputs) -> Vec<Value> {
    let own = (inputs.is_control_plane() && !inputs.schedulable).then_some(labels::CONTROL_PLANE_TAINT);
    own.into_iter().chain(inputs.node_taints.iter().map(String::as_str)).filter_map(taint).collect()
}

/// Reads `key=value:Effect` or `key:Effect`.
fn taint(text: &str) -> Option<Value> {
    let (name, effect) = text.rsplit_once(':')?;
    let (key, value) = name.split_once('=').unwrap_or((name, ""));
    Some(json!({ "key": key, "value": value, "effect": effect }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::k8s::inputs::tests::single_node;

    #[test]
    fn a_control_plane_that_takes_no_workloads_is_tainted() {
        let inputs = Inputs { schedulable: false, ..single_node() };
        assert_eq!(
            taints(&inputs),
            [json!({ "key": "node-role.kubernetes.io/control-plane", "value": "", "effect": "NoSchedule" })]
        );
        assert!(taints(&single_node()).is_empty());
    }

    #[test]
    fn raw_fields_win() {
        let mut inputs = single_node();
        inputs.kubelet_overrides.insert("cgroupDriver".into(), "x".into());
        assert_eq!(configuration(&inputs)["cgroupDriver"], "x");
    }
}
