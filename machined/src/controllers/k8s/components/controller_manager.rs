//! kube-controller-manager. <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/>

use corten_constants::{ids, ports};

use super::{Component, api_client, secret};
use crate::controllers::k8s::inputs::Inputs;

const NAME: &str = "kube-controller-manager";

/// The controller manager of this node.
pub(super) fn kube_controller_manager(inputs: &Inputs) -> Component {
    let file = |name: &str| secret(NAME, name);
    let own = vec![
        ("allocate-node-cidrs", "true".into()),
        ("cluster-cidr", inputs.pod_cidrs()),
        ("cluster-name", inputs.cluster_name.clone()),
        ("cluster-signing-cert-file", file("ca.crt")),
        ("cluster-signing-key-file", file("ca.key")),
        ("root-ca-file", file("ca.crt")),
        ("service-account-private-key-file", file("service-account.key")),
        ("service-cluster-ip-range", inputs.service_cidrs()),
        ("use-service-account-credentials", "true".into()),
    ];
    api_client(NAME, ids::KUBE_CONTROLLER_MANAGER, ports::KUBE_CONTROLLER_MANAGER, own, inputs)
}
