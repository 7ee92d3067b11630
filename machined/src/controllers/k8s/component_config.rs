//! Turns the config into the files and services of Kubernetes.
//!
//! Reads `MachineConfig`, `HostnameStatus`, `NodeAddresses`, `VolumeStatus`, `ComponentSecrets` and `EtcdMember`; owns
//! `ServiceSpec` of the components and `KubernetesConfig`. A component's files are written before its service exists.

use std::collections::BTreeMap;
use std::path::Path;

use corten_constants::labels;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::VolumeStatus;
use corten_resources::config::MachineConfig;
use corten_resources::k8s::{EtcdMember, KubernetesConfig};
use corten_resources::network::{HostnameStatus, NodeAddresses};
use corten_resources::runtime::ServiceSpec;
use corten_resources::secrets::ComponentSecrets;
use corten_store::Kind as _;

use super::components::{self, Component, Endpoint, Mirror};
use super::inputs::Inputs;
use crate::controllers::config;
use crate::controllers::secrets::files;

/// The controller.
#[derive(Debug, Default)]
pub struct ComponentConfig;

impl Controller for ComponentConfig {
    fn name(&self) -> &'static str {
        "k8s/component_config"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[
            MachineConfig::NAME,
            HostnameStatus::NAME,
            NodeAddresses::NAME,
            VolumeStatus::NAME,
            ComponentSecrets::NAME,
            EtcdMember::NAME,
        ]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[ServiceSpec::NAME, KubernetesConfig::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        if !ctx.get::<VolumeStatus>(labels::EPHEMERAL).is_some_and(|volume| volume.spec.is_mounted()) {
            return Ok(Next::Wait);
        }
        let config = config::active(ctx.store());
        let mirrors = config.as_ref().map(|config| mirrors(config)).unwrap_or_default();
        let mut want = BTreeMap::from([("containerd", components::containerd(&mirrors))]);
        if let Some(inputs) = gather(ctx) {
            want.extend(ready_components(ctx, &inputs));
            ctx.put::<KubernetesConfig>("local", summary(&inputs))?;
        }
        tokio::task::spawn_blocking(move || components::forget_registries(&mirrors)).await??;
        let services = write_all(want).await?;
        ctx.sync_owned::<ServiceSpec>(services)?;
        Ok(Next::Wait)
    }
}

/// The inputs of the components, once config, name and addresses are known.
pub fn gather(ctx: &Context) -> Option<Inputs> {
    let config = config::active(ctx.store())?;
    let hostname = ctx.store().get::<HostnameStatus>(HostnameStatus::ID)?;
    let addresses = ctx.store().get::<NodeAddresses>(NodeAddresses::ID)?;
    let secrets = ctx.store().list::<ComponentSecrets>();
    let digests = secrets.iter().map(|s| (s.metadata.id.clone(), s.spec.digest.clone())).collect();
    let etcd = ctx.store().get::<EtcdMember>("local").is_some();
    Inputs::gather(&config, &hostname.spec.hostname, &addresses.spec.ips().collect::<Vec<_>>(), etcd, digests)
}

/// Those components whose secrets are there.
fn ready_components(ctx: &Context, inputs: &Inputs) -> BTreeMap<&'static str, Component> {
    let mut all = components::plan(inputs);
    all.retain(|name, _| ctx.store().get::<ComponentSecrets>(name).is_some());
    all
}

async fn write_all(
    all: BTreeMap<&'static str, Component>,
) -> Result<BTreeMap<String, ServiceSpec>, BoxError> {
    let services = tokio::task::spawn_blocking(move || {
        let mut services = BTreeMap::new();
        for (name, component) in all {
            for file in &component.files {
                write(file)?;
            }
            services.insert(name.to_owned(), component.service);
        }
        Ok::<_, std::io::Error>(services)
    });
    Ok(services.await??)
}

fn write(file: &components::File) -> std::io::Result<()> {
    let path = Path::new(&file.path);
    if std::fs::read_to_string(path).is_ok_and(|have| have == file.content) {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    files::replace(path, &file.content, file.mode, file.uid)
}

fn mirrors(config: &corten_config::Config) -> Vec<Mirror> {
    let endpoint = |mirror: &corten_config::Mirror| Endpoint {
        url: mirror.endpoint.clone(),
        ca: mirror.ca.clone(),
        skip_verify: mirror.skip_verify,
    };
    let mirror = |registry: &corten_config::Registry| Mirror {
        host: registry.host.clone(),
        endpoints: registry.mirrors.iter().map(endpoint).collect(),
        override_path: registry.override_path,
    };
    config.registries.iter().map(mirror).collect()
}

fn summary(inputs: &Inputs) -> KubernetesConfig {
    let overrides = inputs.apiserver_args.keys().map(|name| format!("kube-apiserver --{name}"));
    KubernetesConfig {
        role: inputs.role,
        node_name: inputs.node_name.clone(),
        addresses: inputs.addresses.clone(),
        endpoint: inputs.endpoint.clone(),
        overrides: overrides
            .chain(inputs.kubelet_overrides.keys().map(|name| format!("kubelet {name}")))
            .collect(),
    }
}
