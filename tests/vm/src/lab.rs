//! What a test asks for nodes.

use crate::TestNode;
use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use corten_lab::cluster::{self, Options};
use corten_lab::{Accel, Boot, Image, Source, Timeouts, leftovers};
use std::sync::{Mutex, PoisonError};

/// A new version is judged quickly; how long it may take is added.
const POLICY: &str = "---\napiVersion: corten.dev/v1\nkind: UpdatePolicy\ntries: 1\nsoak: 3s\n";

/// The place where one test runs.
#[derive(Debug)]
pub struct Lab {
    image: Image,
    dir: Utf8PathBuf,
    timeouts: Timeouts,
    nodes: Mutex<Vec<TestNode>>,
}

impl Lab {
    pub(crate) async fn new(image: Image, dir: Utf8PathBuf) -> Self {
        let timeouts = Timeouts::new(Accel::detect(&image).await);
        Self { image, dir, timeouts, nodes: Mutex::default() }
    }

    /// Deadlines that fit this machine.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// The image under test.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The test's own folder; it is removed when the test passes.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// The archive of the image that test pods run.
    #[must_use]
    pub fn workload_archive(&self) -> Utf8PathBuf {
        self.image.dir().join("images/workload.tar")
    }

    /// Options for a node of this test, for a change here and there.
    #[must_use]
    pub fn options(&self, name: &str) -> Options {
        Options::new(name, self.dir.clone(), self.image.clone())
    }

    /// A new node that has its config and whose API answers.
    pub async fn fresh_node(&self) -> Result<TestNode> {
        self.node(&self.options("fresh")).await
    }

    /// A new node whose API answers.
    pub async fn node(&self, options: &Options) -> Result<TestNode> {
        let node = self.prepare(options).await?;
        node.machine().start().await?;
        node.wait_api().await?;
        Ok(node)
    }

    /// A machine as it comes from the shop, which has started from the install medium: a blank disk, the ISO in its
    /// CD drive, firmware, no config. Returns it with the fingerprint that its console shows.
    ///
    /// What the options say about disks and medium stays, except that the system disk is blank unless it comes from a
    /// file.
    pub async fn iso_node(&self, options: &Options) -> Result<(TestNode, String)> {
        let (medium, source) = (options.medium.clone(), options.disk.source.clone());
        let mut options = options.clone().from_iso()?;
        options.medium = medium.or(options.medium);
        if let Source::File(_) = source {
            options.disk.source = source;
        }
        let node = self.prepare(&options).await?;
        let mark = node.machine().start().await?;
        let fingerprint = node.wait_fingerprint(mark).await?;
        node.wait_api().await?;
        // Most drivers come a little later than the API.
        node.wait_disks(&fingerprint, |disks| disks.contains("system")).await?;
        Ok((node, fingerprint))
    }

    /// A new node that is still off.
    pub async fn prepare(&self, options: &Options) -> Result<TestNode> {
        let cluster = cluster::prepare(options, &|_| {}).await?;
        Ok(self.keep(TestNode::new(cluster, &self.image)?))
    }

    /// A node that is Ready, has its DNS running and holds the workload image. It was booted through the firmware, and its
    /// new versions have one try. It comes from a snapshot that is made once per image.
    pub async fn ready_node(&self) -> Result<TestNode> {
        self.restored(false).await
    }

    /// The same, and it may open connections.
    pub async fn ready_node_reaching_out(&self) -> Result<TestNode> {
        self.restored(true).await
    }

    async fn restored(&self, outgoing: bool) -> Result<TestNode> {
        let snapshot = cluster::snapshot_dir(&self.image)?;
        let dir = self.dir.join("ready");
        let restore = async || cluster::restore(&snapshot, &dir, outgoing).await;
        let cluster = match restore().await? {
            Some(cluster) => cluster,
            None => {
                self.save_ready(&snapshot).await.context("make the snapshot of a Ready node")?;
                restore().await?.context("the snapshot cannot be restored")?
            }
        };
        let node = self.keep(TestNode::new(cluster, &self.image)?);
        node.wait_api().await?;
        node.refresh_kubeconfig().await?;
        Ok(node)
    }

    /// Boots and bootstraps a node up to Ready.
    pub async fn bootstrapped_node(&self, options: &Options) -> Result<TestNode> {
        let node = self.node(options).await?;
        node.bootstrap().await?;
        node.import_workload(&self.workload_archive()).await?;
        Ok(node)
    }

    async fn save_ready(&self, snapshot: &Utf8Path) -> Result<()> {
        let mut options = self.options("snapshot");
        // Through the firmware, so that what restarts, updates and rolls back can begin here too.
        options.boot = Boot::Firmware;
        // A config takes no less than 30 s.
        let deadline = self.timeouts.seconds(27).as_secs().max(30);
        options.extra_config = format!("{POLICY}healthDeadline: {deadline}s\n");
        let node = self.bootstrapped_node(&options).await?;
        node.wait_dns().await?;
        // The EFI partition is looked at when the machine is ready, so a little later the slots are known.
        let patience = self.timeouts.ready();
        node.osctl().until(&["get", "slots"], patience, |text| text.contains("corten-")).await?;
        node.check_clean().await?;
        self.forget(&node);
        cluster::save(node.into_cluster(), snapshot).await?;
        Ok(())
    }

    fn keep(&self, node: TestNode) -> TestNode {
        self.lock().push(node.clone());
        node
    }

    fn forget(&self, node: &TestNode) {
        self.lock().retain(|other| other.machine().dir() != node.machine().dir());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<TestNode>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> Vec<TestNode> {
        self.lock().clone()
    }

    pub(crate) async fn check_clean(&self) -> Result<()> {
        for node in self.nodes() {
            node.check_clean().await?;
        }
        Ok(())
    }

    /// After a failure: ask the nodes for what they know, then stop them and drop what is only large.
    pub(crate) async fn keep_evidence(&self) {
        for node in self.nodes() {
            node.collect_support(&self.dir.join("support")).await;
        }
        let _ = leftovers::stop_all(&self.dir);
        for node in self.nodes() {
            node.machine().drop_large_files();
        }
    }
}
