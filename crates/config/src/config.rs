//! A whole config: one field per kind of document.

use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;
use crate::kinds::{Document, Documents};
use crate::redact;
use crate::types::kubernetes::{
    api_server::APIServer, cluster::Cluster, etcd::Etcd, kubelet::Kubelet, registry::Registry,
};
use crate::types::network::{hostname::Hostname, link::Link, resolver::Resolver};
use crate::types::system::{
    install::Install, kernel_module::KernelModule, machine::Machine, sysctl::Sysctl, time::Time,
    update_policy::UpdatePolicy,
};

/// A config whose documents fit together.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this machine is.
    pub machine: Machine,
    /// What all machines of the cluster share.
    pub cluster: Cluster,
    /// The disk to install to.
    pub install: Option<Install>,
    /// Network interfaces; empty means DHCPv4 on every physical link.
    pub links: Vec<Link>,
    /// Name of the machine.
    pub hostname: Option<Hostname>,
    /// DNS.
    pub resolver: Option<Resolver>,
    /// Where the clock is set from.
    pub time: Option<Time>,
    /// The node as Kubernetes sees it.
    pub kubelet: Option<Kubelet>,
    /// kube-apiserver.
    pub api_server: Option<APIServer>,
    /// The etcd member.
    pub etcd: Option<Etcd>,
    /// Mirrors of image registries.
    pub registries: Vec<Registry>,
    /// Kernel parameters.
    pub sysctl: Option<Sysctl>,
    /// Modules to load at boot.
    pub kernel_modules: Vec<KernelModule>,
    /// When an update counts as good.
    pub update_policy: Option<UpdatePolicy>,
    /// What is legal and looks odd.
    warnings: Vec<Diagnostic>,
}

/// Two configs are equal when they say the same; where they say it does not matter.
impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.list() == other.list()
    }
}

impl Config {
    /// What is legal and looks odd, in the order of the text.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The disk to install to, when the config says one: an install medium needs it.
    pub fn install(&self) -> Option<&Install> {
        self.install.as_ref()
    }

    /// When an update counts as good, with the defaults where the config says nothing.
    pub fn update_policy(&self) -> UpdatePolicy {
        self.update_policy.clone().unwrap_or_default()
    }

    /// The documents as YAML, secrets included: what the node stores.
    pub fn to_yaml(&self) -> String {
        let documents: Vec<String> = self.list().into_iter().map(|document| document.yaml).collect();
        documents.join("---\n")
    }

    /// The documents as YAML with every secret hidden. It does not parse again, on purpose.
    pub fn to_yaml_redacted(&self) -> String {
        let documents: Vec<String> = self.list().iter().map(redact::yaml).collect();
        documents.join("---\n")
    }

    /// SHA-256 of what the config says, 64 hex digits: equal for texts that differ only in form.
    pub fn digest(&self) -> String {
        use std::fmt::Write as _;
        let hash = Sha256::digest(self.to_yaml());
        hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    pub(crate) fn list(&self) -> Vec<Document> {
        self.clone().into_documents().list()
    }

    pub(crate) fn from_documents(documents: Documents, warnings: Vec<Diagnostic>) -> Option<Self> {
        Some(Self {
            machine: documents.machine?,
            cluster: documents.cluster?,
            install: documents.install,
            links: documents.links,
            hostname: documents.hostname,
            resolver: documents.resolver,
            time: documents.time,
            kubelet: documents.kubelet,
            api_server: documents.api_server,
            etcd: documents.etcd,
            registries: documents.registries,
            sysctl: documents.sysctl,
            kernel_modules: documents.kernel_modules,
            update_policy: documents.update_policy,
            warnings,
        })
    }

    fn into_documents(self) -> Documents {
        Documents {
            machine: Some(self.machine),
            cluster: Some(self.cluster),
            install: self.install,
            links: self.links,
            hostname: self.hostname,
            resolver: self.resolver,
            time: self.time,
            kubelet: self.kubelet,
            api_server: self.api_server,
            etcd: self.etcd,
            registries: self.registries,
            sysctl: self.sysctl,
            kernel_modules: self.kernel_modules,
            update_policy: self.update_policy,
        }
    }
}
