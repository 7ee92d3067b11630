//! Applies what every cluster needs: rights of our components, and DNS.
//!
//! Reads `KubernetesConfig`, `MachineConfig`, `ResolverStatus` and `ServiceStatus`; owns `ManifestStatus`. Server-side apply with the field
//! manager `corten`, so what an operator changed in other fields stays.

use std::time::Duration;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::config::MachineConfig;
use corten_resources::k8s::{KubernetesConfig, ManifestStatus, Role};
use corten_resources::network::ResolverStatus;
use corten_resources::runtime::ServiceStatus;
use corten_store::Kind as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

use super::client;
use super::inputs::nth_address;
use crate::controllers::config;
use crate::digest::sha256;

/// Name of the CoreDNS image, as the image build tags it.
pub const COREDNS_IMAGE: &str = concat!("corten.dev/coredns:", env!("CARGO_PKG_VERSION"));

/// Between two attempts at what was refused.
const RETRY: Duration = Duration::from_secs(2);

/// The controller.
#[derive(Debug, Default)]
pub struct Manifests;

impl Controller for Manifests {
    fn name(&self) -> &'static str {
        "k8s/manifests"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[KubernetesConfig::NAME, MachineConfig::NAME, ResolverStatus::NAME, ServiceStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[ManifestStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let control_plane =
            ctx.get::<KubernetesConfig>("local").is_some_and(|c| c.spec.role == Role::ControlPlane);
        let ready = ctx.get::<ServiceStatus>("kube-apiserver").is_some_and(|service| service.spec.ready);
        let Some(machine) = config::active(ctx.store()).filter(|_| control_plane && ready) else {
            return Ok(Next::Wait);
        };
        let dns = machine.cluster.service_subnets.iter().find_map(|net| nth_address(net, 10));
        let Some(dns) = dns else { return Ok(Next::Wait) };
        let values = [
            ("domain", machine.cluster.domain.clone()),
            ("forward", forward(ctx).to_owned()),
            ("dns", dns.to_string()),
            ("image", COREDNS_IMAGE.to_owned()),
            ("replicas", "1".to_owned()),
        ];
        let all = [
            ("rbac", include_str!("manifests/rbac.yaml").to_owned()),
            ("coredns", fill(include_str!("manifests/coredns.yaml"), &values)),
        ];
        let mut next = Next::Wait;
        for (name, text) in all {
            let digest = sha256([&text]);
            if ctx.store().get::<ManifestStatus>(name).is_some_and(|status| status.spec.applied == digest) {
                continue;
            }
            let objects = parse(&text)?;
            let (applied, error) = match apply_all(&objects).await {
                Ok(()) => (digest, String::new()),
                Err(error) => (String::new(), error.to_string()),
            };
            if !error.is_empty() {
                next = Next::After(RETRY);
            }
            ctx.put::<ManifestStatus>(name, ManifestStatus { objects: objects.len(), applied, error })?;
        }
        Ok(next)
    }
}

/// CoreDNS ends when it has nobody to forward to, so a cluster without a resolver of its own only answers for itself.
fn forward(ctx: &Context) -> &'static str {
    match ctx.get::<ResolverStatus>(ResolverStatus::ID) {
        Some(resolver) if !resolver.spec.nameservers.is_empty() => "forward . /etc/resolv.conf",
        _ => "",
    }
}

async fn apply_all(objects: &[Value]) -> Result<(), BoxError> {
    let client = client::connect().await?;
    for object in objects {
        apply(&client, object).await?;
    }
    Ok(())
}

async fn apply(client: &Client, value: &Value) -> Result<(), BoxError> {
    let object: DynamicObject = serde_json::from_value(value.clone())?;
    let types = object.types.clone().ok_or("a manifest has no kind")?;
    let resource = kube::core::ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams::apply("corten").force();
    api.patch(&object.name_any(), &params, &Patch::Apply(value)).await?;
    Ok(())
}

/// Replaces `{{name}}` by its value.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

/// Each document of a multi-document YAML.
fn parse(text: &str) -> Result<Vec<Value>, BoxError> {
    text.split("\n---\n").map(|document| Ok(serde_saphyr::from_str(document)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_parses_and_no_placeholder_stays() {
        let values =
            ["domain", "forward", "dns", "image", "replicas"].map(|name| (name, "10.96.0.10".to_owned()));
        for text in [include_str!("manifests/rbac.yaml"), include_str!("manifests/coredns.yaml")] {
            let text = fill(text, &values);
            assert!(!text.contains("{{"), "{text}");
            for object in parse(&text).unwrap() {
                assert!(object["kind"].is_string() && object["metadata"]["name"].is_string(), "{object}");
            }
        }
    }
}
