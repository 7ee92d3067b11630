//! New configs for a cluster: one for control-plane machines, one for workers, and the first administrator.

use std::net::IpAddr;
use std::time::Duration;

use corten_pki::{KeyType, Leaf, LeafRequest, PkiError, SecretsBundle, Usage};
use ipnet::IpNet;

use crate::config::Config;
use crate::diagnostic::Diagnostics;
use crate::kinds::{self, Documents};
use crate::parse::Source;
use crate::types::authority::CertificateAuthority;
use crate::types::endpoint::Endpoint;
use crate::types::kubernetes::api_server::APIServer;
use crate::types::kubernetes::cluster::{Cluster, domain, pod_subnets, service_subnets};
use crate::types::system::install::Install;
use crate::types::system::machine::{Machine, Role};

/// The role of whoever may do everything.
const ADMIN_ROLE: &str = "os:admin";

/// What the configs are made from.
#[derive(Debug, Clone)]
pub struct GenOptions {
    /// Name of the cluster.
    pub cluster_name: String,
    /// Where clients reach the Kubernetes API.
    pub endpoint: Endpoint,
    /// Secrets of the cluster.
    pub secrets: SecretsBundle,
    /// Whether there will be no workers, so that the control plane runs workloads.
    pub single_node: bool,
    /// Further names and addresses of the control plane, for both APIs.
    pub additional_sans: Vec<String>,
    /// DNS domain inside the cluster.
    pub domain: String,
    /// Ranges of pod addresses.
    pub pod_subnets: Vec<IpNet>,
    /// Ranges of service addresses.
    pub service_subnets: Vec<IpNet>,
    /// The disk that install media write the system to.
    pub install: Option<Install>,
    /// How long the administrator's certificate lasts.
    pub admin_lifetime: Duration,
}

impl GenOptions {
    /// The defaults for all but the name, the endpoint and the secrets.
    pub fn new(cluster_name: impl Into<String>, endpoint: Endpoint, secrets: SecretsBundle) -> Self {
        Self {
            cluster_name: cluster_name.into(),
            endpoint,
            secrets,
            single_node: false,
            additional_sans: Vec::new(),
            domain: domain(),
            pod_subnets: pod_subnets(),
            service_subnets: service_subnets(),
            install: None,
            admin_lifetime: corten_pki::LEAF_LIFETIME_MAX,
        }
    }
}

/// New configs, and the certificate that opens the machines' API.
#[derive(Debug, Clone)]
pub struct Generated {
    /// Config for control-plane machines, with comments.
    pub controlplane_yaml: String,
    /// Config for workers, with comments.
    pub worker_yaml: String,
    /// Client certificate of the first administrator.
    pub admin: Leaf,
    /// Authority of the OS API, PEM.
    pub ca_pem: String,
}

/// Why no configs were made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A value that no config may have, such as the name of the cluster.
    #[error("the values do not make a config:\n{0}")]
    Invalid(Diagnostics),
    /// The certificate could not be made.
    #[error("make the administrator's certificate")]
    Certificate(#[from] PkiError),
}

/// Makes the configs and the administrator's certificate.
pub fn generate(options: &GenOptions) -> Result<Generated, GenerateError> {
    let admin = options.secrets.os_ca.issue(&LeafRequest {
        common_name: "admin".to_owned(),
        organizations: vec![ADMIN_ROLE.to_owned()],
        dns_names: Vec::new(),
        ips: Vec::<IpAddr>::new(),
        usage: Usage::Client,
        lifetime: options.admin_lifetime,
        key: KeyType::Ed25519,
    })?;
    Ok(Generated {
        controlplane_yaml: render(&controlplane(options), "controlplane")?,
        worker_yaml: render(&worker(options), "worker")?,
        admin,
        ca_pem: options.secrets.os_ca.cert_pem.clone(),
    })
}

fn controlplane(options: &GenOptions) -> Documents {
    let secrets = &options.secrets;
    let sans = options.additional_sans.clone();
    let api_server = APIServer { cert_sans: sans.clone(), ..APIServer::default() };
    Documents {
        machine: Some(Machine {
            role: Role::Controlplane,
            token: secrets.join_token.clone(),
            ca: CertificateAuthority::with_key(&secrets.os_ca),
            cert_sans: sans.clone(),
        }),
        cluster: Some(Cluster {
            ca: CertificateAuthority::with_key(&secrets.kubernetes_ca),
            aggregator_ca: Some(CertificateAuthority::with_key(&secrets.aggregator_ca)),
            etcd_ca: Some(CertificateAuthority::with_key(&secrets.etcd_ca)),
            service_account_key: Some(secrets.service_account_key.clone()),
            encryption_key: Some(secrets.encryption_key.clone()),
            allow_scheduling_on_control_plane: options.single_node,
            ..cluster(options)
        }),
        install: options.install.clone(),
        api_server: (!sans.is_empty()).then_some(api_server),
        ..Documents::default()
    }
}

fn worker(options: &GenOptions) -> Documents {
    let secrets = &options.secrets;
    Documents {
        machine: Some(Machine {
            role: Role::Worker,
            token: secrets.join_token.clone(),
            ca: CertificateAuthority::without_key(&secrets.os_ca),
            cert_sans: Vec::new(),
        }),
        cluster: Some(cluster(options)),
        install: options.install.clone(),
        ..Documents::default()
    }
}

/// What both roles know.
fn cluster(options: &GenOptions) -> Cluster {
    let secrets = &options.secrets;
    Cluster {
        id: secrets.cluster_id.clone(),
        name: options.cluster_name.clone(),
        endpoint: options.endpoint.clone(),
        domain: options.domain.clone(),
        pod_subnets: options.pod_subnets.clone(),
        service_subnets: options.service_subnets.clone(),
        ca: CertificateAuthority::without_key(&secrets.kubernetes_ca),
        aggregator_ca: None,
        etcd_ca: None,
        service_account_key: None,
        encryption_key: None,
        token: secrets.bootstrap_token.clone(),
        allow_scheduling_on_control_plane: false,
    }
}

/// YAML with a comment above each document; what the node would refuse is refused here.
fn render(documents: &Documents, name: &str) -> Result<String, GenerateError> {
    let parts: Vec<String> = documents
        .list()
        .iter()
        .map(|document| format!("{}{}", comment(document.kind), document.yaml))
        .collect();
    let text = parts.join("---\n");
    Config::parse(&text, &Source::new(name)).map_err(GenerateError::Invalid)?;
    Ok(text)
}

fn comment(kind: &kinds::Kind) -> String {
    kind.description().lines().map(|line| format!("# {line}\n")).collect()
}
