//! A node as a test sees it.

use crate::Tool;
use crate::expected::Expected;
use crate::run::bin;
use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use corten_api::v1;
use corten_client::{Client, Options};
use corten_lab::cluster::Cluster;
use corten_lab::{Image, Mark, Node};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A machine, its cluster, and the tools that reach it.
#[derive(Debug, Clone)]
pub struct TestNode {
    cluster: Cluster,
    machine: Node,
    bin: Utf8PathBuf,
    expected: Arc<Expected>,
    /// It came up without a config and has got one.
    configured: Arc<AtomicBool>,
    restarts: Arc<AtomicBool>,
}

impl TestNode {
    pub(crate) fn new(cluster: Cluster, image: &Image) -> Result<Self> {
        let machine = cluster.control_plane().context("a cluster has a node")?.clone();
        Ok(Self {
            cluster,
            machine,
            bin: bin(image),
            expected: Arc::default(),
            configured: Arc::default(),
            restarts: Arc::default(),
        })
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

    pub(crate) fn seconds(&self, seconds: u32) -> Duration {
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
        let restarts = Arc::clone(&self.restarts);
        Tool { program: self.bin.join("osctl"), environment, patience: self.seconds(60), restarts }
    }

    /// `kubectl` as the administrator of this cluster.
    #[must_use]
    pub fn kubectl(&self) -> Tool {
        let environment = vec![("KUBECONFIG".to_owned(), self.kubeconfig().to_string())];
        let restarts = Arc::default();
        Tool { program: self.bin.join("kubectl"), environment, patience: self.seconds(60), restarts }
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

    /// Waits until the API answers: the administrator, or anybody as long as the node has no config.
    pub async fn wait_api(&self) -> Result<()> {
        let patience = self.machine.timeouts().api();
        if self.configured.load(Ordering::Relaxed) {
            return Ok(self.cluster.wait_configured(patience).await?);
        }
        Ok(self.cluster.wait_api(patience).await?)
    }

    /// Whether the administrator's certificate is the one to come with.
    fn has_config(&self) -> bool {
        self.machine.spec().config.is_some() || self.configured.load(Ordering::Relaxed)
    }

    /// Says that a node which came up in maintenance has its config now.
    pub fn now_configured(&self) {
        self.configured.store(true, Ordering::Relaxed);
    }

    /// Says that a node which had its config has lost it: a reset brought it back to maintenance.
    pub fn now_in_maintenance(&self) {
        self.configured.store(false, Ordering::Relaxed);
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

    /// What the API tells of slots and updates.
    pub async fn update_status(&self) -> Result<v1::UpdateStatusResponse> {
        let client = self.client().await?;
        Ok(client.updates().status(v1::UpdateStatusRequest {}).await?.into_inner())
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
        self.expected.restart(service);
    }

    /// Says that console lines with this text are no trouble: a panic that the test provokes, for example. A stack
    /// trace and what else a panicking kernel prints are then no trouble either.
    pub fn expect_trouble(&self, text: &str) {
        self.expected.trouble(text);
    }

    /// Says that the node starts again for a reason of the test's. Asking for it by `osctl`, the reset button and
    /// power off and on need no such word.
    pub fn expect_boot(&self) {
        self.restarts.store(true, Ordering::Relaxed);
    }

    /// Fails when the kernel complained, the machine started again by itself, or a service restarted that nobody
    /// touched.
    pub async fn check_clean(&self) -> Result<()> {
        let trouble = self.expected.unexpected(self.machine.console().trouble(Mark::START));
        ensure!(trouble.is_empty(), "the console shows trouble: {trouble:#?}");
        let boots = self.machine.console().boots_unasked();
        ensure!(
            boots == 0 || self.restarts.load(Ordering::Relaxed),
            "the node started again {boots} times, and nobody asked for it"
        );
        if !self.machine.running() || !self.has_config() {
            return Ok(());
        }
        let restarted = |service: &v1::Service| service.restarts > 0 && !self.expected.restarts(&service.id);
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
