//! Kubernetes components: settings that the OS needs for itself, and documents for the other role.

use std::collections::HashSet;

use super::kubelet_fields::KUBELET_FIELDS;
use super::{Checker, Place};
use crate::diagnostic::Code;
use crate::nearest::nearest;
use crate::report::Finding;
use crate::types::system::machine::Role;
use crate::words::is_header;

/// Fields of KubeletConfiguration that other parts of the node rely on, and where they are set instead.
const KUBELET_OWNED: &[(&str, &str)] = &[
    ("apiVersion", "the OS writes it"),
    ("kind", "the OS writes it"),
    ("authentication", "the OS keeps anonymous access off"),
    ("authorization", "the OS has requests checked by the API server"),
    ("cgroupDriver", "the OS and containerd must agree on it"),
    ("cgroupRoot", "the OS lays out the cgroups"),
    ("clusterDNS", "set Cluster.serviceSubnets"),
    ("clusterDomain", "set Cluster.domain"),
    ("containerRuntimeEndpoint", "the OS runs containerd"),
    ("enableServer", "the API server talks to it"),
    ("maxPods", "set maxPods in this document"),
    ("port", "the OS fixes the ports"),
    ("readOnlyPort", "the OS keeps the open port off"),
    ("registerWithTaints", "set nodeTaints in this document"),
    ("resolvConf", "set Resolver"),
    ("rotateCertificates", "the OS renews certificates"),
    ("serverTLSBootstrap", "the OS renews certificates"),
    ("staticPodPath", "the control plane runs outside of pods"),
    ("tlsCertFile", "the OS renews certificates"),
    ("tlsPrivateKeyFile", "the OS renews certificates"),
    ("volumePluginDir", "the directory must be writable and kept"),
];

/// Flags of kube-apiserver that other parts of the cluster rely on, and where they are set instead.
const API_SERVER_OWNED: &[(&str, &str)] = &[
    ("advertise-address", "set Kubelet.nodeIPSubnets"),
    ("audit-policy-file", "set auditPolicy in this document"),
    ("client-ca-file", "set Cluster.ca"),
    ("encryption-provider-config", "set Cluster.encryptionKey"),
    ("etcd-cafile", "set Cluster.etcdCA"),
    ("etcd-certfile", "the OS renews certificates"),
    ("etcd-keyfile", "the OS renews certificates"),
    ("etcd-servers", "the OS runs etcd"),
    ("kubelet-client-certificate", "the OS renews certificates"),
    ("kubelet-client-key", "the OS renews certificates"),
    ("proxy-client-cert-file", "the OS renews certificates"),
    ("proxy-client-key-file", "the OS renews certificates"),
    ("requestheader-client-ca-file", "set Cluster.aggregatorCA"),
    ("secure-port", "the OS fixes the ports"),
    ("service-account-key-file", "set Cluster.serviceAccountKey"),
    ("service-account-signing-key-file", "set Cluster.serviceAccountKey"),
    ("service-cluster-ip-range", "set Cluster.serviceSubnets"),
    ("tls-cert-file", "the OS renews certificates"),
    ("tls-private-key-file", "the OS renews certificates"),
];

/// Flags that open the cluster when set so.
const RISKY_FLAGS: &[(&str, &str)] = &[("anonymous-auth", "true"), ("authorization-mode", "AlwaysAllow")];

/// Labels that the node itself tells.
const OWNED_LABELS: &[&str] = &["kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch"];

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    roles(checker);
    kubelet(checker);
    api_server(checker);
}

fn roles(checker: &mut Checker<'_, '_>) {
    let documents = checker.documents;
    let worker = documents.machine.as_ref().is_some_and(|machine| machine.role == Role::Worker);
    for (kind, present) in [("APIServer", documents.api_server.is_some()), ("Etcd", documents.etcd.is_some())]
    {
        if worker && present {
            let message = format!("the document {kind} does not belong on a worker");
            checker.contradiction(&Place::new(kind, 0, &["kind"]), message, "remove the document");
        }
    }
}

fn kubelet(checker: &mut Checker<'_, '_>) {
    let Some(kubelet) = &checker.documents.kubelet else { return };
    for label in kubelet.node_labels.keys().filter(|label| OWNED_LABELS.contains(&label.as_str())) {
        let message = format!("the label {label} is set by the node itself");
        checker.contradiction(&Place::new("Kubelet", 0, &["nodeLabels", label]), message, "remove it");
    }
    let mut seen = HashSet::new();
    for (index, taint) in kubelet.node_taints.iter().enumerate() {
        let (pair, effect) = taint.rsplit_once(':').unwrap_or((taint, ""));
        let key = pair.split('=').next().unwrap_or(pair);
        if !seen.insert((key, effect)) {
            let message = format!("there is already a taint {key} with the effect {effect}");
            let place = ["nodeTaints", &index.to_string()];
            checker.contradiction(&Place::new("Kubelet", 0, &place), message, "keep one of them");
        }
    }
    for key in kubelet.extra_config.keys() {
        if !KUBELET_FIELDS.contains(&key.as_str()) && !is_header(key) {
            let message = format!("KubeletConfiguration has no field {key}");
            let near = nearest(key, KUBELET_FIELDS.iter().copied());
            let hint = near.map_or_else(|| "remove it".to_owned(), |near| format!("did you mean {near}?"));
            let finding = Finding::error(Code::UnknownKey, message, hint).suggest(near.map(str::to_owned));
            checker.add(&Place::new("Kubelet", 0, &["extraConfig", key]), finding);
        }
        if let Some((_, instead)) = KUBELET_OWNED.iter().find(|(owned, _)| owned == key) {
            let message = format!("the field {key} of KubeletConfiguration is the OS's own");
            let place = ["extraConfig", key];
            checker.contradiction(
                &Place::new("Kubelet", 0, &place),
                message,
                format!("remove it: {instead}"),
            );
        }
    }
}

fn api_server(checker: &mut Checker<'_, '_>) {
    let Some(api_server) = &checker.documents.api_server else { return };
    for (flag, value) in &api_server.extra_args {
        let place = ["extraArgs", flag.as_str()];
        if let Some((_, instead)) = API_SERVER_OWNED.iter().find(|(owned, _)| owned == flag) {
            let message = format!("the flag {flag} of kube-apiserver is the OS's own");
            checker.contradiction(
                &Place::new("APIServer", 0, &place),
                message,
                format!("remove it: {instead}"),
            );
        }
        if RISKY_FLAGS.iter().any(|(risky, set)| risky == flag && value.split(',').any(|part| part == *set)) {
            let message = format!("{flag}={value} opens the API to everyone");
            checker.warning(
                &Place::new("APIServer", 0, &place),
                message,
                "remove it, unless the network is closed",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_that_are_ours_exist() {
        for (field, _) in KUBELET_OWNED.iter().filter(|(field, _)| !is_header(field)) {
            assert!(KUBELET_FIELDS.contains(field), "{field}");
        }
        assert!(KUBELET_FIELDS.is_sorted());
    }
}
