//! Renders the CNI configuration from the pod ranges of this node.
//!
//! Reads `NodeStatus` and `KubernetesConfig`; owns `/etc/cni/net.d/10-corten.conflist`. A node whose operator installed
//! another CNI keeps that one: the CRI plugin takes the first file by name.

use std::net::IpAddr;
use std::path::Path;

use corten_constants::paths;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::k8s::{KubernetesConfig, NodeStatus};
use corten_store::Kind as _;
use serde_json::{Value, json};

use crate::controllers::secrets::files;

/// The controller.
#[derive(Debug, Default)]
pub struct Cni;

impl Controller for Cni {
    fn name(&self) -> &'static str {
        "k8s/cni"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[NodeStatus::NAME, KubernetesConfig::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let Some(config) = ctx.get::<KubernetesConfig>("local") else { return Ok(Next::Wait) };
        let Some(node) = ctx.get::<NodeStatus>(&config.spec.node_name) else { return Ok(Next::Wait) };
        if node.spec.pod_cidrs.is_empty() {
            return Ok(Next::Wait);
        }
        let content = format!("{:#}\n", conflist(&node.spec.pod_cidrs));
        tokio::task::spawn_blocking(move || {
            let dir = Path::new(paths::CNI_CONF);
            std::fs::create_dir_all(dir)?;
            let path = dir.join("10-corten.conflist");
            if std::fs::read_to_string(&path).is_ok_and(|have| have == content) {
                return Ok(());
            }
            files::replace(&path, &content, 0o644, 0)
        })
        .await??;
        Ok(Next::Wait)
    }
}

/// A bridge per node; flannel carries packets between them, and masquerades what leaves the cluster.
/// <https://www.cni.dev/plugins/current/main/bridge/>
fn conflist(pod_cidrs: &[String]) -> Value {
    let ranges: Vec<_> = pod_cidrs.iter().map(|cidr| json!([{ "subnet": cidr }])).collect();
    let is_v6 = |cidr: &String| {
        cidr.split('/').next().and_then(|a| a.parse().ok()).is_some_and(|a: IpAddr| a.is_ipv6())
    };
    let mut routes = Vec::new();
    if pod_cidrs.iter().any(|cidr| !is_v6(cidr)) {
        routes.push(json!({ "dst": "0.0.0.0/0" }));
    }
    if pod_cidrs.iter().any(is_v6) {
        routes.push(json!({ "dst": "::/0" }));
    }
    json!({
        "cniVersion": "1.0.0",
        "name": "corten",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "hairpinMode": true,
                "ipMasq": false,
                "mtu": 1450,
                "ipam": { "type": "host-local", "dataDir": "/run/cni/ipam", "ranges": ranges, "routes": routes },
            },
            { "type": "portmap", "backend": "nftables", "capabilities": { "portMappings": true } },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_get_a_range_and_a_default_route() {
        let value = conflist(&["10.244.0.0/24".into(), "fd00::/64".into()]);
        let ipam = &value["plugins"][0]["ipam"];
        assert_eq!(ipam["ranges"].as_array().unwrap().len(), 2);
        assert_eq!(ipam["routes"], json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }]));
    }
}
