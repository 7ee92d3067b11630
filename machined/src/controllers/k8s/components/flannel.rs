//! flannel: the pod network between nodes. <https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md>

use std::net::IpAddr;

use corten_constants::ports;
use corten_resources::runtime::{Directory, Probe, Requirement, ServiceSpec};
use serde_json::json;

use super::{Component, File, command, go_environment, health, loopback, secret};
use crate::controllers::k8s::inputs::Inputs;

const NAME: &str = "flanneld";
const NET_CONF: &str = "/etc/kubernetes/flannel-net-conf.json";

/// flannel on this node.
pub(super) fn flanneld(inputs: &Inputs) -> Component {
    let subnet = |v6: bool| inputs.pod_subnets.iter().find(|net| net.addr().is_ipv6() == v6);
    let mut net_conf = json!({
        "Backend": { "Type": "vxlan", "Port": ports::FLANNEL_VXLAN },
        "EnableNFTables": true,
        "EnableIPv4": subnet(false).is_some(),
        "EnableIPv6": subnet(true).is_some(),
    });
    for (field, v6) in [("Network", false), ("IPv6Network", true)] {
        if let (Some(fields), Some(net)) = (net_conf.as_object_mut(), subnet(v6)) {
            fields.insert(field.into(), net.to_string().into());
        }
    }
    let args = vec![
        format!("--kubeconfig-file={}", secret(NAME, "kubeconfig")),
        format!("--net-config-path={NET_CONF}"),
        format!("--public-ip={}", public_ip(inputs)),
        "--ip-masq=true".into(),
        format!("--healthz-port={}", ports::FLANNEL_HEALTH),
    ];
    let probe = Probe::Http { address: loopback(ports::FLANNEL_HEALTH), path: "/healthz".into() };
    let mut requires = Vec::new();
    if inputs.is_control_plane() {
        requires.push(Requirement::Service("kube-apiserver".into()));
    }
    let service = ServiceSpec {
        command: command(NAME, args),
        environment: go_environment(&[("NODE_NAME", &inputs.node_name), ("PATH", "/usr/bin")]),
        directories: vec![Directory { path: "/run/flannel".into(), mode: 0o755, uid: 0 }],
        capabilities: Some(["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_DAC_OVERRIDE"].map(str::to_owned).to_vec()),
        no_new_privileges: true,
        requires,
        readiness: Some(probe.clone()),
        health: Some(health(probe, 15_000)),
        oom_score_adj: -999,
        stop_timeout_ms: 3_000,
        ..ServiceSpec::default()
    };
    Component::new(vec![File::json(NET_CONF, &net_conf)], service, &inputs.secrets_digest(NAME))
}

fn public_ip(inputs: &Inputs) -> IpAddr {
    inputs.addresses.iter().copied().find(IpAddr::is_ipv4).unwrap_or_else(|| inputs.primary())
}
