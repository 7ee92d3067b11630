//! etcd: one member of the cluster's store. <https://etcd.io/docs/v3.6/op-guide/configuration/>

use std::net::IpAddr;

use corten_constants::{ids, paths, ports};
use corten_resources::runtime::{Directory, Probe, ServiceSpec};

use super::{
    Component, command, first_in_line, flags, go_environment, health, loopback, secret, unprivileged,
};
use crate::controllers::k8s::inputs::Inputs;

/// The etcd member of this node.
pub(super) fn etcd(inputs: &Inputs) -> Component {
    let host = bracketed(inputs.etcd_address);
    let client = format!("https://{host}:{}", ports::ETCD_CLIENT);
    let peer = format!("https://{host}:{}", ports::ETCD_PEER);
    let metrics = loopback(ports::ETCD_METRICS);
    let args = flags(
        &[
            ("name", inputs.node_name.clone()),
            ("data-dir", paths::ETCD_DATA.into()),
            ("listen-client-urls", format!("https://127.0.0.1:{},{client}", ports::ETCD_CLIENT)),
            ("advertise-client-urls", client),
            ("listen-peer-urls", peer.clone()),
            ("initial-advertise-peer-urls", peer.clone()),
            ("initial-cluster", format!("{}={peer}", inputs.node_name)),
            ("initial-cluster-state", "new".into()),
            ("initial-cluster-token", inputs.cluster_name.clone()),
            ("listen-metrics-urls", format!("http://{metrics}")),
            ("client-cert-auth", "true".into()),
            ("trusted-ca-file", secret("etcd", "ca.crt")),
            ("cert-file", secret("etcd", "server.crt")),
            ("key-file", secret("etcd", "server.key")),
            ("peer-client-cert-auth", "true".into()),
            ("peer-trusted-ca-file", secret("etcd", "ca.crt")),
            ("peer-cert-file", secret("etcd", "peer.crt")),
            ("peer-key-file", secret("etcd", "peer.key")),
            ("tls-min-version", "TLS1.3".into()),
            ("auto-compaction-mode", "periodic".into()),
            ("auto-compaction-retention", "8h".into()),
            ("log-level", "warn".into()),
        ],
        &std::collections::BTreeMap::new(),
    );
    let probe = Probe::Http { address: metrics, path: "/health".into() };
    let service = ServiceSpec {
        command: command("etcd", args),
        directories: vec![Directory { path: paths::ETCD_DATA.into(), mode: 0o700, uid: ids::ETCD }],
        readiness: Some(probe.clone()),
        health: Some(health(probe, 10_000)),
        environment: go_environment(&[]),
        cgroup: first_in_line(),
        oom_score_adj: -997,
        nice: Some(-5),
        stop_timeout_ms: 10_000,
        ..unprivileged(ids::ETCD)
    };
    Component::new(Vec::new(), service, &inputs.secrets_digest("etcd"))
}

/// An address as a URL wants it.
pub(super) fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
