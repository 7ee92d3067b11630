//! kube-scheduler. <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-scheduler/>

use corten_constants::{ids, ports};

use super::{Component, api_client};
use crate::controllers::k8s::inputs::Inputs;

/// The scheduler of this node. What it decides by is Kubernetes' default.
pub(super) fn kube_scheduler(inputs: &Inputs) -> Component {
    api_client("kube-scheduler", ids::KUBE_SCHEDULER, ports::KUBE_SCHEDULER, Vec::new(), inputs)
}
