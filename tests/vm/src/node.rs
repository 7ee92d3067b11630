//! A node as a test sees it.

use crate::Tool;
use crate::run::bin;
use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use corten_api::v1;
use corten_client::{Client, Options};
use corten_lab::cluster::Cluster;
use corten_lab::{Image, Mark, Node};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A machine, its cluster, and the tools that reach it.
#[derive(Debug, Clone)]
pub struct TestNode {
    cluster: Cluster,
    machine: Node,
    bin: Utf8PathBuf,
    expected_restarts: Arc<Mutex<BTreeSet<String>>>,
}

impl TestNode {
    pub(crate) fn new(cluster: Cluster, image: &Image) -> Result<Self> {
        let machine = cluster.control_plane().context("a cluster has a node")?.clone();
        Ok(Self { cluster, machine, bin: bin(image), expected_restarts: Arc::default() })
    }

    pub(crate) fn into_cluster(self) -> Cluster {
        self.cluster
    }

    /// The machine itself: power, console, disk.
    #[must_use]
    pub fn machine(&self) -> &Node {
        &self.machine
    }

    /// Its cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its name in Kubernetes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.machine.spec().name
    }

    /// Address of its API.
    pub fn address(&self) -> Result<String> {
        self.cluster.api().context("the API has no port")
    }

    fn seconds(&self, seconds: u32) -> Duration {
        self.machine.timeouts().seconds(seconds)
    }

    /// `osctl` as the administrator of this cluster.
    #[must_use]
    pub fn osctl(&self) -> Tool {
        self.osctl_with(&self.cluster.contexts_file())
    }

    /// `osctl` with another contexts file.
    #[must_use]
    pub fn osctl_with(&self, contexts: &Utf8Path) -> Tool {
        let environment = vec![("CORTEN_CONFIG".to_owned(), contexts.to_string())];
        Tool { program: self.bin.join("osctl"), environment, patience: self.seconds(60) }
    }

    /// `kubectl` as the administrator of this cluster.
    #[must_use]
    pub fn kubectl(&self) -> Tool {
        let environment = vec![("KUBECONFIG".to_owned(), self.kubeconfig().to_string())];
        Tool { program: self.bin.join("kubectl"), environment, patience: self.seconds(60) }
    }

    fn kubeconfig(&self) -> Utf8PathBuf {
        self.cluster.dir().join("kubeconfig")
    }

    /// A connection to the API as the administrator.
    pub async fn client(&self) -> Result<Client> {
        let options = Options { connect_timeout: self.seconds(5), call_timeout: Some(self.seconds(10)) };
        Ok(Client::connect(&self.cluster.context()?, &self.address()?, options).await?)
    }

    /// What the node says about itself.
    pub async fn status(&self) -> Result<v1::StatusResponse> {
        Ok(self.client().await?.machine().status(v1::StatusRequest {}).await?.into_inner())
    }

    /// Its services.
    pub async fn services(&self) -> Result<Vec<v1::Service>> {
        Ok(self.client().await?.services().list(v1::ListServicesRequest {}).await?.into_inner().services)
    }

    /// Waits until the API answers.
    pub async fn wait_api(&self) -> Result<()> {
        Ok(self.cluster.wait_api(self.machine.timeouts().api()).await?)
    }

    /// Bootstraps the cluster and waits until it is healthy.
    pub async fn bootstrap(&self) -> Result<()> {
        self.osctl().ok(&["bootstrap"]).await?;
        self.wait_ready().await
    }

    /// Waits until the cluster is healthy and the node Ready, and fetches a kubeconfig.
    pub async fn wait_ready(&self) -> Result<()> {
        let patience = self.machine.timeouts().ready();
        let osctl = Tool { patience: patience + self.seconds(10), ..self.osctl() };
        let wait = format!("--wait={}s", patience.as_secs());
        osctl.ok(&["health", &wait]).await?;
        self.refresh_kubeconfig().await?;
        let nodes = ["get", "nodes", "--no-headers"];
        self.kubectl().until(&nodes, self.seconds(10), |text| text.contains(" Ready ")).await?;
        Ok(())
    }

    /// Writes the administrator's kubeconfig with the address at which this node is reachable now.
    pub async fn refresh_kubeconfig(&self) -> Result<()> {
        let server = self.cluster.kubernetes().context("the API server has no port")?;
        let text = self.osctl().ok(&["kubeconfig", "--print", "--server", &server]).await?;
        std::fs::write(self.kubeconfig(), text).with_context(|| format!("write {}", self.kubeconfig()))
    }

    /// Gives the node the image that test pods run.
    pub async fn import_workload(&self, archive: &Utf8Path) -> Result<()> {
        self.osctl().ok(&["images", "import", archive.as_str()]).await.map(drop)
    }

    /// Waits until the cluster's DNS answers.
    pub async fn wait_dns(&self) -> Result<()> {
        let wanted =
            ["-n", "kube-system", "get", "deployment", "coredns", "-o", "jsonpath={.status.readyReplicas}"];
        let patience = self.machine.timeouts().ready();
        self.kubectl().until(&wanted, patience, |text| text.trim() != "0" && !text.trim().is_empty()).await?;
        Ok(())
    }

    /// Says that a service of this node restarts because the test made it.
    pub fn expect_restart(&self, service: &str) {
        self.expected_restarts.lock().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned());
    }

    /// Fails when the kernel complained, or a service restarted that nobody touched.
    pub async fn check_clean(&self) -> Result<()> {
        let trouble = self.machine.console().trouble(Mark::START);
        ensure!(trouble.is_empty(), "the console shows trouble: {trouble:#?}");
        if !self.machine.running() || self.machine.spec().config.is_none() {
            return Ok(());
        }
        let expected = self.expected_restarts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let restarted = |service: &v1::Service| service.restarts > 0 && !expected.contains(&service.id);
        let services: Vec<_> = self.services().await?.into_iter().filter(restarted).collect();
        ensure!(services.is_empty(), "services restarted unasked: {services:#?}");
        Ok(())
    }

    /// Everything that the node can tell, into a folder; what it cannot tell any more is left out.
    pub(crate) async fn collect_support(&self, folder: &Utf8Path) {
        if self.machine.running() {
            let osctl = Tool { patience: Duration::from_secs(60), ..self.osctl() };
            let _ = osctl.run(&["support", folder.as_str()]).await;
        }
    }
}
