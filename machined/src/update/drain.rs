//! Moves pods away before the machine goes down, and takes them again afterwards.
//!
//! The node is cordoned with an annotation of ours, so that only a cordon that we made is lifted. Pods are evicted by the
//! eviction API, which respects disruption budgets; what does not go in time is left to the shutdown. On the only node of
//! a cluster nobody could take them, so there it only cordons.

use std::time::Duration;

use corten_resources::network::HostnameStatus;
use corten_store::Store;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{EvictParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::controllers::k8s::client;

/// Says on the Node object that the cordon is ours.
const ANNOTATION: &str = "corten.dev/cordoned-for";
/// For everything together.
const DEADLINE: Duration = Duration::from_secs(180);
/// After that, whatever is asked for is given up.
const MARGIN: Duration = Duration::from_secs(30);
/// Between two looks at the pods that are left.
const LOOK: Duration = Duration::from_secs(2);

/// Why the node could not be emptied.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// There is no connection to the API server.
    #[error("reach the API server")]
    Client(#[from] client::ClientError),
    /// A call failed.
    #[error("{doing}")]
    Call {
        /// What was asked for.
        doing: &'static str,
        /// Cause.
        source: Box<kube::Error>,
    },
}

fn failed(doing: &'static str) -> impl Fn(kube::Error) -> DrainError {
    move |source| DrainError::Call { doing, source: Box::new(source) }
}

/// Cordons this machine's node and moves its pods away, as well as it goes: what stays is ended by the shutdown. Tells what
/// did not go.
pub async fn empty(store: &Store, why: &str) -> Option<String> {
    let hostname = store.get::<HostnameStatus>(HostnameStatus::ID)?;
    // Each call has a limit of its own, but there may be hundreds of pods.
    match timeout(DEADLINE + MARGIN, drain(&hostname.spec.hostname, why)).await {
        Ok(Ok(0)) => None,
        Ok(Ok(left)) => Some(format!("{left} pods did not leave in time and are stopped with the machine")),
        Err(_) => Some("the node was not drained: the API server hardly answers".to_owned()),
        Ok(Err(failure)) => Some(format!("the node was not drained: {}", crate::errors::chain(&failure))),
    }
}

/// Cordons the node and moves its pods away. Tells how many pods are left.
///
/// # Errors
/// When Kubernetes cannot be asked.
async fn drain(node: &str, why: &str) -> Result<usize, DrainError> {
    let client = client::connect().await?;
    cordon(&client, node, why).await?;
    let nodes: Api<Node> = Api::all(client.clone());
    let others = nodes.list(&ListParams::default()).await.map_err(failed("list nodes"))?;
    if others.items.len() < 2 {
        return Ok(0);
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        let left = evictable(&client, node).await?;
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left.len());
        }
        for pod in &left {
            let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
            // A disruption budget that says no is asked again; a pod that went meanwhile is fine.
            let _ = pods.evict(&pod.name_any(), &EvictParams::default()).await;
        }
        sleep(LOOK).await;
    }
}

/// Lifts the cordon if it is ours. Tells whether it was.
///
/// # Errors
/// When Kubernetes cannot be asked.
pub async fn uncordon(node: &str) -> Result<bool, DrainError> {
    let client = client::connect().await?;
    let nodes: Api<Node> = Api::all(client);
    let found = nodes.get(node).await.map_err(failed("look at the node"))?;
    if !found.annotations().contains_key(ANNOTATION) {
        return Ok(false);
    }
    let patch = serde_json::json!({
        "metadata": { "annotations": { ANNOTATION: null } },
        "spec": { "unschedulable": null },
    });
    nodes
        .patch(node, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(failed("uncordon the node"))?;
    Ok(true)
}

async fn cordon(client: &Client, node: &str, why: &str) -> Result<(), DrainError> {
    let nodes: Api<Node> = Api::all(client.clone());
    let found = nodes.get(node).await.map_err(failed("look at the node"))?;
    if found.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false) {
        return Ok(()); // somebody else's cordon stays theirs
    }
    let patch = serde_json::json!({
        "metadata": { "annotations": { ANNOTATION: why } },
        "spec": { "unschedulable": true },
    });
    nodes
        .patch(node, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(failed("cordon the node"))?;
    Ok(())
}

async fn evictable(client: &Client, node: &str) -> Result<Vec<Pod>, DrainError> {
    let pods: Api<Pod> = Api::all(client.clone());
    let here = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let here = pods.list(&here).await.map_err(failed("list the pods of the node"))?;
    Ok(here.items.into_iter().filter(has_to_go).collect())
}

/// Pods of DaemonSets come back at once, mirrors of static pods cannot be evicted, and ended pods do not matter.
fn has_to_go(pod: &Pod) -> bool {
    let of_daemon_set = pod.owner_references().iter().any(|owner| owner.kind == "DaemonSet");
    let mirror = pod.annotations().contains_key("kubernetes.io/config.mirror");
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    !of_daemon_set && !mirror && !matches!(phase, "Succeeded" | "Failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_would_come_back_or_have_ended_stay() {
        let pod = |metadata: serde_json::Value, phase: &str| -> Pod {
            serde_json::from_value(serde_json::json!({ "metadata": metadata, "status": { "phase": phase } }))
                .unwrap()
        };
        let owner = serde_json::json!({ "ownerReferences": [
            { "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1" }
        ] });
        let mirror = serde_json::json!({ "annotations": { "kubernetes.io/config.mirror": "x" } });
        assert!(has_to_go(&pod(serde_json::json!({}), "Running")));
        assert!(has_to_go(&pod(serde_json::json!({}), "Pending")));
        assert!(!has_to_go(&pod(serde_json::json!({}), "Succeeded")));
        assert!(!has_to_go(&pod(owner, "Running")));
        assert!(!has_to_go(&pod(mirror, "Running")));
    }
}
