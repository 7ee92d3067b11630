//! Issues the certificates of etcd and Kubernetes and renders them with the keys that each component needs.
//!
//! Reads `MachineConfig`, `HostnameStatus`, `NodeAddresses`, and `TimeStatus` to hear of a clock that was set; owns
//! `ComponentSecrets` and `CertificateStatus`. A leaf is made again when what it says changes, at half of its life, and when
//! the clock is before it; the files of a component change together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use corten_config::Config;
use corten_constants::paths;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_pki::{Ca, KeyType, LeafRequest, Usage};
use corten_resources::config::MachineConfig;
use corten_resources::network::{HostnameStatus, NodeAddresses, TimeStatus};
use corten_resources::secrets::{CertificateStatus, ComponentSecrets};
use corten_store::Kind as _;
use serde_json::json;

use super::describe::describe;
use super::files;
use super::kubeconfig::Kubeconfig;
use super::leaves::{Issuer, Leaf, Needs, plan};
use crate::controllers::k8s::component_config::gather;
use crate::controllers::k8s::inputs::Inputs;

/// Life of a leaf. It is made anew at each boot and at half of this time.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// How often the remaining life is looked at.
const LOOK: Duration = Duration::from_secs(3600);

/// The controller. Keeps what it issued, so that a reconcile without a change writes nothing.
#[derive(Debug, Default)]
pub struct KubernetesSecrets {
    issued: BTreeMap<String, Issued>,
}

/// A leaf that was made, and for which wish.
struct Issued {
    wish: Leaf,
    certificate: String,
    key: String,
    status: CertificateStatus,
    good: Range<jiff::Timestamp>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Controller for KubernetesSecrets {
    fn name(&self) -> &'static str {
        "secrets/kubernetes"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[MachineConfig::NAME, HostnameStatus::NAME, NodeAddresses::NAME, TimeStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[ComponentSecrets::NAME, CertificateStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let (Some(config), Some(inputs)) = (crate::controllers::config::active(ctx.store()), gather(ctx))
        else {
            return Ok(Next::Wait);
        };
        if !inputs.is_control_plane() {
            return Ok(Next::Wait); // a worker's certificates come from the control plane when it joins
        }
        let extra_names =
            config.api_server.as_ref().map(|server| server.cert_sans.clone()).unwrap_or_default();
        let mut components = BTreeMap::new();
        let mut certificates = BTreeMap::new();
        for needs in plan(&inputs, &extra_names) {
            let content = self.files(&needs, &config, &inputs, &mut certificates)?;
            let digest = files::digest(&content);
            let names = content.keys().cloned().collect();
            let dir = Path::new(paths::SECRETS).join(needs.component);
            tokio::task::spawn_blocking(move || files::write(&dir, needs.uid, &content)).await??;
            components.insert(needs.component.to_owned(), ComponentSecrets { digest, files: names });
        }
        ctx.sync_owned::<CertificateStatus>(certificates)?;
        ctx.sync_owned::<ComponentSecrets>(components)?;
        Ok(Next::After(LOOK))
    }
}

impl KubernetesSecrets {
    /// All files of one component; the statuses of its certificates go into `certificates`.
    fn files(
        &mut self,
        needs: &Needs,
        config: &Config,
        inputs: &Inputs,
        certificates: &mut BTreeMap<String, CertificateStatus>,
    ) -> Result<BTreeMap<String, String>, BoxError> {
        let mut files = roots(needs.component, config)?;
        for leaf in &needs.leaves {
            let id = format!("{}-{}", needs.component, leaf.name);
            let issued = self.issue(&id, leaf, config)?;
            certificates.insert(id, issued.status.clone());
            if leaf.kubeconfig {
                let kubeconfig = Kubeconfig {
                    cluster: &inputs.cluster_name,
                    user: &leaf.common_name,
                    server: &inputs.local_api_server(),
                    ca: &config.cluster.ca.certificate,
                    certificate: &issued.certificate,
                    key: &issued.key,
                };
                files.insert("kubeconfig".into(), kubeconfig.render());
            } else {
                files.insert(format!("{}.crt", leaf.name), issued.certificate.clone());
                files.insert(format!("{}.key", leaf.name), issued.key.clone());
            }
        }
        Ok(files)
    }

    /// The leaf from before while it is good, else a new one.
    fn issue(&mut self, id: &str, wish: &Leaf, config: &Config) -> Result<&Issued, BoxError> {
        let now = jiff::Timestamp::now();
        let good = self.issued.get(id).is_some_and(|have| have.wish == *wish && have.good.contains(&now));
        if !good {
            let issued = issue(wish, config)?;
            self.issued.insert(id.to_owned(), issued);
        }
        self.issued.get(id).ok_or_else(|| "a certificate was not kept".into())
    }
}

fn issue(wish: &Leaf, config: &Config) -> Result<Issued, BoxError> {
    let ca = ca(config, wish.issuer)?;
    let leaf = ca.issue(&LeafRequest {
        common_name: wish.common_name.clone(),
        organizations: wish.organizations.clone(),
        dns_names: wish.dns_names.clone(),
        ips: wish.addresses.clone(),
        usage: wish.usage,
        lifetime: LIFETIME,
        key: KeyType::P256,
    })?;
    let (status, good) = describe(&leaf.cert_pem)?;
    Ok(Issued {
        wish: wish.clone(),
        certificate: leaf.cert_pem,
        key: leaf.key_pem.expose().to_owned(),
        status,
        good,
    })
}

fn ca(config: &Config, issuer: Issuer) -> Result<Ca, BoxError> {
    let pair = match issuer {
        Issuer::Kubernetes => &config.cluster.ca,
        Issuer::Aggregator => config.cluster.aggregator_ca.as_ref().ok_or("Cluster has no aggregatorCA")?,
        Issuer::Etcd => config.cluster.etcd_ca.as_ref().ok_or("Cluster has no etcdCA")?,
    };
    let key = pair.key.as_ref().ok_or("a CA in Cluster has no key")?;
    Ok(Ca { cert_pem: pair.certificate.clone(), key_pem: key.clone() })
}

/// The roots and keys from the config that a component reads.
fn roots(component: &str, config: &Config) -> Result<BTreeMap<String, String>, BoxError> {
    let cluster = &config.cluster;
    let mut files = BTreeMap::new();
    let mut add = |name: &str, content: String| drop(files.insert(name.to_owned(), content));
    let service_account = || -> Result<String, BoxError> {
        Ok(cluster
            .service_account_key
            .as_ref()
            .ok_or("Cluster has no serviceAccountKey")?
            .expose()
            .to_owned())
    };
    match component {
        "etcd" => add("ca.crt", ca(config, Issuer::Etcd)?.cert_pem),
        "kube-apiserver" => {
            add("ca.crt", cluster.ca.certificate.clone());
            add("etcd-ca.crt", ca(config, Issuer::Etcd)?.cert_pem);
            add("front-proxy-ca.crt", ca(config, Issuer::Aggregator)?.cert_pem);
            let key = service_account()?;
            add("service-account.pub", corten_pki::public_key_pem(&key)?);
            add("service-account.key", key);
            add("encryption.json", encryption(config)?);
        }
        "kube-controller-manager" => {
            add("ca.crt", cluster.ca.certificate.clone());
            add("ca.key", ca(config, Issuer::Kubernetes)?.key_pem.expose().to_owned());
            add("service-account.key", service_account()?);
        }
        _ => add("ca.crt", cluster.ca.certificate.clone()),
    }
    Ok(files)
}

/// Secrets are written with secretbox; `identity` reads what was there before.
/// <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>
fn encryption(config: &Config) -> Result<String, BoxError> {
    let key =
        config.cluster.encryption_key.as_ref().ok_or("Cluster has no encryptionKey")?.expose().to_owned();
    if BASE64_STANDARD.decode(&key)?.len() != 32 {
        return Err("encryptionKey is not 32 bytes in base64".into());
    }
    let value = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{
            "resources": ["secrets"],
            "providers": [{ "secretbox": { "keys": [{ "name": "key1", "secret": key }] } }, { "identity": {} }],
        }],
    });
    Ok(format!("{value:#}\n"))
}

/// An administrator's kubeconfig with a new client certificate.
///
/// # Errors
/// When this node has no Kubernetes CA key, because it is a worker.
pub fn admin_kubeconfig(config: &Config, lifetime: Duration) -> Result<String, BoxError> {
    let leaf = ca(config, Issuer::Kubernetes)?.issue(&LeafRequest {
        common_name: "admin".into(),
        organizations: vec!["system:masters".into()],
        dns_names: Vec::new(),
        ips: Vec::new(),
        usage: Usage::Client,
        lifetime: lifetime.min(LIFETIME),
        key: KeyType::P256,
    })?;
    let kubeconfig = Kubeconfig {
        cluster: &config.cluster.name,
        user: "admin",
        server: &config.cluster.endpoint.to_string(),
        ca: &config.cluster.ca.certificate,
        certificate: &leaf.cert_pem,
        key: leaf.key_pem.expose(),
    };
    Ok(kubeconfig.render())
}
