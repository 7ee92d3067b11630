//! Follows this machine's Node object, and gives it the labels that a kubelet may not give itself.
//!
//! Reads `KubernetesConfig` and `ServiceStatus`; owns `NodeStatus`. Until the node is Ready each change is watched, so that
//! nothing is asked in vain while the processors are short. A watch may die silently and then show yesterday's truth: it
//! ends after some seconds, and once the node is Ready it is asked for now and then instead.

use std::collections::BTreeMap;
use std::time::Duration;

use corten_constants::labels;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::k8s::{KubernetesConfig, NodeStatus, Role};
use corten_resources::runtime::ServiceStatus;
use corten_store::Kind as _;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, Client};

use super::client;
use crate::errors::chain;

/// Between two attempts while the node is not Ready.
const SOON: Duration = Duration::from_millis(500);
/// Between two looks afterwards.
const LATER: Duration = Duration::from_secs(5);
/// How long a watch lasts, in seconds. Shorter than the client waits for an answer.
const WATCH: u32 = 15;

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
        match self.follow(ctx, &config.node_name).await {
            Ok(true) => Ok(Next::After(LATER)),
            Ok(false) => Ok(Next::After(SOON)),
            Err(error) => {
                self.client = None;
                let message = chain(error.as_ref());
                let status = NodeStatus { reason: "NoAnswer".into(), message, ..NodeStatus::default() };
                ctx.put::<NodeStatus>(&config.node_name, status)?;
                Ok(Next::After(SOON))
            }
        }
    }
}

impl NodeFollower {
    /// Publishes what the API server says about the node now and, until it is Ready, what it says next; tells whether it
    /// is Ready.
    async fn follow(&mut self, ctx: &Context, name: &str) -> Result<bool, BoxError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(client::connect().await?).clone(),
        };
        let nodes: Api<Node> = Api::all(client);
        let only = format!("metadata.name={name}");
        // A list, not a get: a node that does not exist yet has no version to watch from.
        let list = nodes.list(&ListParams::default().fields(&only)).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        if seen(ctx, &nodes, name, list.items.first()).await? {
            return Ok(true);
        }
        let watch = WatchParams::default().fields(&only).timeout(WATCH);
        let mut events = std::pin::pin!(nodes.watch(&watch, &version).await?);
        while let Some(event) = events.try_next().await? {
            let node = match &event {
                WatchEvent::Added(node) | WatchEvent::Modified(node) => Some(node),
                WatchEvent::Deleted(_) => None,
                WatchEvent::Bookmark(_) => continue,
                // Most likely the version is too old: the next run lists again.
                WatchEvent::Error(_) => break,
            };
            if seen(ctx, &nodes, name, node).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Publishes the node's status, gives it its label when it lacks that, and tells whether it is Ready.
async fn seen(ctx: &Context, nodes: &Api<Node>, name: &str, node: Option<&Node>) -> Result<bool, BoxError> {
    let status = match node {
        Some(node) => status(node),
        None => NodeStatus { reason: "NotRegistered".into(), ..NodeStatus::default() },
    };
    let ready = status.ready;
    ctx.put::<NodeStatus>(name, status)?;
    if node.is_some_and(|node| !has_label(node)) {
        let patch = serde_json::json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "labels": BTreeMap::from([(labels::CONTROL_PLANE_LABEL, "")]) },
        });
        nodes.patch(name, &PatchParams::apply("corten").force(), &Patch::Apply(patch)).await?;
    }
    Ok(ready)
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
