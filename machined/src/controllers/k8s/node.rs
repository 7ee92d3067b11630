//! Follows this machine's Node object, and gives it the labels that a kubelet may not give itself.
//!
//! Reads `KubernetesConfig` and `ServiceStatus`; owns `NodeStatus`. Polls, because a watch that dies silently would show
//! yesterday's truth: often until the node is Ready, seldom afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use corten_constants::labels;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::k8s::{KubernetesConfig, NodeStatus, Role};
use corten_resources::runtime::ServiceStatus;
use corten_store::Kind as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};

use super::client;

/// Between two looks while the node is not Ready.
const SOON: Duration = Duration::from_millis(500);
/// Between two looks afterwards.
const LATER: Duration = Duration::from_secs(5);

/// The controller.
#[derive(Default)]
pub struct NodeFollower {
    client: Option<Client>,
}

impl std::fmt::Debug for NodeFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeFollower").field("connected", &self.client.is_some()).finish()
    }
}

impl Controller for NodeFollower {
    fn name(&self) -> &'static str {
        "k8s/node"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[KubernetesConfig::NAME, ServiceStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[NodeStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let Some(config) = ctx.get::<KubernetesConfig>("local") else { return Ok(Next::Wait) };
        let config = &config.spec;
        // Only a control plane has the right to look at any node; a worker learns of its own from its kubelet's health.
        if config.role != Role::ControlPlane
            || !ctx.get::<ServiceStatus>("kube-apiserver").is_some_and(|s| s.spec.ready)
        {
            self.client = None;
            let waiting = NodeStatus { reason: "ApiServerNotReady".into(), ..NodeStatus::default() };
            ctx.put::<NodeStatus>(&config.node_name, waiting)?;
            return Ok(Next::Wait);
        }
        let status = match self.look(&config.node_name).await {
            Ok(status) => status,
            Err(error) => {
                self.client = None;
                NodeStatus { reason: "NoAnswer".into(), message: error.to_string(), ..NodeStatus::default() }
            }
        };
        let next = if status.ready { LATER } else { SOON };
        ctx.put::<NodeStatus>(&config.node_name, status)?;
        Ok(Next::After(next))
    }
}

impl NodeFollower {
    async fn look(&mut self, name: &str) -> Result<NodeStatus, BoxError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(client::connect().await?).clone(),
        };
        let nodes: Api<Node> = Api::all(client);
        let Some(node) = nodes.get_opt(name).await? else {
            return Ok(NodeStatus { reason: "NotRegistered".into(), ..NodeStatus::default() });
        };
        if !has_label(&node) {
            let patch = serde_json::json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": { "labels": BTreeMap::from([(labels::CONTROL_PLANE_LABEL, "")]) },
            });
            nodes.patch(name, &PatchParams::apply("corten").force(), &Patch::Apply(patch)).await?;
        }
        Ok(status(&node))
    }
}

fn has_label(node: &Node) -> bool {
    node.metadata.labels.as_ref().is_some_and(|all| all.contains_key(labels::CONTROL_PLANE_LABEL))
}

/// What we keep of a Node object.
fn status(node: &Node) -> NodeStatus {
    let spec = node.spec.clone().unwrap_or_default();
    let observed = node.status.clone().unwrap_or_default();
    let ready =
        observed.conditions.unwrap_or_default().into_iter().find(|condition| condition.type_ == "Ready");
    let pod_cidrs = match spec.pod_cidrs {
        Some(all) if !all.is_empty() => all,
        _ => spec.pod_cidr.into_iter().collect(),
    };
    NodeStatus {
        ready: ready.as_ref().is_some_and(|condition| condition.status == "True"),
        reason: ready
            .as_ref()
            .and_then(|condition| condition.reason.clone())
            .unwrap_or_else(|| "NoCondition".into()),
        message: ready.and_then(|condition| condition.message).unwrap_or_default(),
        pod_cidrs,
        unschedulable: spec.unschedulable.unwrap_or(false),
        kubelet_version: observed.node_info.map(|info| info.kubelet_version).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_only_when_kubernetes_says_true() {
        for (value, ready) in [("True", true), ("False", false), ("Unknown", false)] {
            let node: Node = serde_json::from_value(serde_json::json!({
                "metadata": { "name": "n1" },
                "spec": { "podCIDR": "10.244.0.0/24" },
                "status": { "conditions": [{ "type": "Ready", "status": value, "reason": "R", "message": "m" }] },
            }))
            .unwrap();
            let status = status(&node);
            assert_eq!(status.ready, ready, "{value}");
            assert_eq!(status.pod_cidrs, ["10.244.0.0/24"]);
        }
    }
}
