//! kube-apiserver. <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>

use std::net::IpAddr;

use corten_constants::{ids, ports};
use corten_resources::runtime::{Directory, Probe, ServiceSpec};
use serde_json::json;

use super::{
    Component, File, command, first_in_line, flags, go_environment, health, loopback, secret, unprivileged,
};
use crate::controllers::k8s::inputs::Inputs;

const NAME: &str = "kube-apiserver";
const CONFIG_DIR: &str = "/etc/kubernetes/apiserver";
const AUDIT_DIR: &str = "/var/log/kube-apiserver";

/// The API server of this node.
pub(super) fn kube_apiserver(inputs: &Inputs) -> Component {
    let files = vec![authentication(), admission(), pod_security(), audit_policy(inputs)];
    let probe = |path: &str| Probe::Https {
        address: loopback(ports::KUBE_APISERVER),
        path: path.into(),
        ca_file: secret(NAME, "ca.crt"),
    };
    let service = ServiceSpec {
        command: command(NAME, flags(&arguments(inputs), &inputs.apiserver_args)),
        directories: vec![Directory { path: AUDIT_DIR.into(), mode: 0o700, uid: ids::KUBE_APISERVER }],
        readiness: Some(probe("/readyz")),
        health: Some(health(probe("/livez"), 10_000)),
        cgroup: first_in_line(),
        oom_score_adj: -997,
        stop_timeout_ms: 10_000,
        environment: go_environment(&[]),
        ..unprivileged(ids::KUBE_APISERVER)
    };
    Component::new(files, service, &inputs.secrets_digest(NAME))
}

fn arguments(inputs: &Inputs) -> Vec<(&'static str, String)> {
    let bind = match inputs.primary() {
        IpAddr::V4(_) => "0.0.0.0",
        IpAddr::V6(_) => "::",
    };
    let mut all = vec![
        ("advertise-address", inputs.primary().to_string()),
        ("bind-address", bind.into()),
        ("secure-port", ports::KUBE_APISERVER.to_string()),
        ("allow-privileged", "true".into()),
        ("authorization-mode", "Node,RBAC".into()),
        ("enable-admission-plugins", "NodeRestriction".into()),
        ("profiling", "false".into()),
        ("service-cluster-ip-range", inputs.service_cidrs()),
        ("service-account-issuer", inputs.endpoint.clone()),
        ("api-audiences", inputs.endpoint.clone()),
        ("tls-min-version", "VersionTLS13".into()),
        ("shutdown-send-retry-after", "true".into()),
    ];
    all.extend(secret_arguments());
    all.extend(policy_arguments());
    all
}

fn secret_arguments() -> Vec<(&'static str, String)> {
    let file = |name: &str| secret(NAME, name);
    vec![
        ("client-ca-file", file("ca.crt")),
        ("tls-cert-file", file("server.crt")),
        ("tls-private-key-file", file("server.key")),
        ("kubelet-certificate-authority", file("ca.crt")),
        ("kubelet-client-certificate", file("kubelet-client.crt")),
        ("kubelet-client-key", file("kubelet-client.key")),
        ("kubelet-preferred-address-types", "InternalIP".into()),
        ("etcd-servers", format!("https://127.0.0.1:{}", ports::ETCD_CLIENT)),
        ("etcd-cafile", file("etcd-ca.crt")),
        ("etcd-certfile", file("etcd-client.crt")),
        ("etcd-keyfile", file("etcd-client.key")),
        ("proxy-client-cert-file", file("front-proxy-client.crt")),
        ("proxy-client-key-file", file("front-proxy-client.key")),
        ("requestheader-client-ca-file", file("front-proxy-ca.crt")),
        ("requestheader-allowed-names", "front-proxy-client".into()),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".into()),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("service-account-key-file", file("service-account.pub")),
        ("service-account-signing-key-file", file("service-account.key")),
        ("encryption-provider-config", file("encryption.json")),
    ]
}

fn policy_arguments() -> Vec<(&'static str, String)> {
    vec![
        ("authentication-config", format!("{CONFIG_DIR}/authentication.json")),
        ("admission-control-config-file", format!("{CONFIG_DIR}/admission.json")),
        ("audit-policy-file", format!("{CONFIG_DIR}/audit-policy.json")),
        ("audit-log-path", format!("{AUDIT_DIR}/audit.log")),
        ("audit-log-maxage", "30".into()),
        ("audit-log-maxbackup", "4".into()),
        ("audit-log-maxsize", "50".into()),
    ]
}

/// Anonymous requests reach the health endpoints and nothing else.
fn authentication() -> File {
    let paths: Vec<_> =
        ["/livez", "/readyz", "/healthz"].iter().map(|path| json!({ "path": path })).collect();
    File::json(
        format!("{CONFIG_DIR}/authentication.json"),
        &json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "anonymous": { "enabled": true, "conditions": paths },
        }),
    )
}

fn admission() -> File {
    File::json(
        format!("{CONFIG_DIR}/admission.json"),
        &json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AdmissionConfiguration",
            "plugins": [{ "name": "PodSecurity", "path": format!("{CONFIG_DIR}/pod-security.json") }],
        }),
    )
}

/// Pod Security Standards: `baseline` is enforced, `restricted` is warned about; namespaces may say otherwise.
fn pod_security() -> File {
    File::json(
        format!("{CONFIG_DIR}/pod-security.json"),
        &json!({
            "apiVersion": "pod-security.admission.config.k8s.io/v1",
            "kind": "PodSecurityConfiguration",
            "defaults": {
                "enforce": "baseline", "enforce-version": "latest",
                "audit": "restricted", "audit-version": "latest",
                "warn": "restricted", "warn-version": "latest",
            },
            "exemptions": { "usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"] },
        }),
    )
}

/// Who did what, without the bodies: they would hold secrets. Reads by the components themselves are noise.
fn audit_policy(inputs: &Inputs) -> File {
    let path = format!("{CONFIG_DIR}/audit-policy.json");
    if let Some(policy) = &inputs.audit_policy {
        return File::json(path, &policy.clone().into());
    }
    File::json(
        path,
        &json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [
                { "level": "None", "nonResourceURLs": ["/livez*", "/readyz*", "/healthz*", "/version"] },
                { "level": "None", "resources": [
                    { "group": "coordination.k8s.io", "resources": ["leases"] },
                    { "group": "", "resources": ["events"] },
                    { "group": "events.k8s.io", "resources": ["events"] },
                ] },
                { "level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"],
                  "verbs": ["get", "list", "watch"] },
                { "level": "None", "users": ["system:apiserver", "system:kube-controller-manager",
                  "system:kube-scheduler", "system:kube-proxy"], "verbs": ["get", "list", "watch"] },
                { "level": "Metadata" },
            ],
        }),
    )
}
