//! Making a cluster: secrets, config, machines, power on, and the wait for the API.

use super::{Cluster, Phase, State, api, check_name, forwards, material};
use crate::node::write_private;
use crate::spec::{Cache, DiskSpec, Forward, Medium, Source};
use crate::{Accel, Boot, Image, LabError, Node, NodeSpec, leftovers};
use camino::Utf8PathBuf;
use corten_constants::ports;
use std::fs;

/// What a new cluster is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name.
    pub name: String,
    /// The folder that will hold its folder.
    pub root: Utf8PathBuf,
    /// The image that its nodes run.
    pub image: Image,
    /// Memory of each node.
    pub memory_mib: u32,
    /// Processors of each node.
    pub cpus: u32,
    /// The system disk of each node.
    pub disk: DiskSpec,
    /// Disks after the system disk.
    pub more_disks: Vec<DiskSpec>,
    /// The install medium.
    pub medium: Option<Medium>,
    /// Direct kernel boot or firmware.
    pub boot: Boot,
    /// Leave the nodes without a config, in maintenance mode.
    pub maintenance: bool,
    /// Ports of the first node that are wanted at certain places; API and API server get free ones otherwise.
    pub forwards: Vec<Forward>,
    /// The nodes may open connections, to this machine too.
    pub outgoing: bool,
    /// Config documents that are added to the generated ones.
    pub extra_config: String,
    /// Kernel arguments that are added to the image's own, with direct boot only.
    pub extra_kernel_arguments: Vec<String>,
}

impl Options {
    /// The defaults: one node with 2 processors, 4 GiB and a 20 GiB disk, direct kernel boot.
    #[must_use]
    pub fn new(name: &str, root: Utf8PathBuf, image: Image) -> Self {
        Self {
            name: name.to_owned(),
            root,
            image,
            memory_mib: 4096,
            cpus: 2,
            disk: DiskSpec::system(Some(20), Cache::Unsafe),
            more_disks: Vec::new(),
            medium: None,
            boot: Boot::Direct,
            maintenance: false,
            forwards: Vec::new(),
            outgoing: false,
            extra_config: String::new(),
            extra_kernel_arguments: Vec::new(),
        }
    }

    /// The same machine as it comes from the shop: its disk is blank, the install medium is in the CD drive, and it
    /// starts in maintenance.
    ///
    /// # Errors
    /// When the image has no ISO.
    pub fn from_iso(mut self) -> Result<Self, LabError> {
        self.medium = Some(Medium::cdrom(&self.image.iso()?));
        self.disk.source = Source::Blank;
        self.boot = Boot::Firmware;
        self.maintenance = true;
        Ok(self)
    }
}

/// Makes a cluster of one node and waits until its API answers. `progress` is told each step.
///
/// # Errors
/// When the name is bad or in use, or a step fails; what was made is then removed, except the console log's
/// folder when the machine started and did not answer.
pub async fn create(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Cluster, LabError> {
    let mut cluster = prepare(options, progress).await?;
    let Some(node) = cluster.control_plane() else { return Ok(cluster) };
    progress(&format!("starting {} ({})", node.spec().name, node.spec().accel.name()));
    node.start().await?;
    progress("waiting for the API");
    // Firmware and boot loader take their time.
    let factor = if options.boot == Boot::Firmware { 2 } else { 1 };
    cluster.wait_api(node.timeouts().api() * factor).await?;
    cluster.state.phase = Phase::Complete;
    cluster.write_state()?;
    Ok(cluster)
}

/// Makes everything but does not switch the machine on.
///
/// # Errors
/// As [`create`].
pub async fn prepare(options: &Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Cluster, LabError> {
    check_name(&options.name)?;
    let dir = options.root.join(&options.name);
    clear(&dir, &options.name, progress)?;
    fs::create_dir_all(&dir).map_err(LabError::file("make", &dir))?;
    let node_name = format!("{}-1", options.name);
    let state = State {
        name: options.name.clone(),
        phase: Phase::Creating,
        created: jiff::Timestamp::now(),
        nodes: vec![node_name.clone()],
    };
    let mut cluster = Cluster { dir: dir.clone(), state, nodes: Vec::new() };
    cluster.write_state()?;

    progress("generating secrets and config");
    let forwards = forwards(&options.forwards)?;
    let port = |guest| forwards.iter().find(|f| f.guest == guest).map_or(guest, |f| f.host);
    let material = material::generate(&options.name, &node_name, port(ports::KUBE_APISERVER))?;
    let config = format!("{}{}", material.config, options.extra_config);
    write_private(&cluster.config_file(), &config)?;
    cluster.write_contexts(material.context(port(ports::API)))?;
    material.write_secrets(&dir)?;

    progress("making the disk");
    let accel = Accel::detect(&options.image).await;
    let spec = NodeSpec {
        memory_mib: options.memory_mib,
        cpus: options.cpus,
        boot: options.boot,
        disks: [&options.disk].into_iter().chain(&options.more_disks).cloned().collect(),
        medium: options.medium.clone(),
        config: (!options.maintenance).then_some(config),
        kernel_arguments: options.extra_kernel_arguments.clone(),
        forwards,
        outgoing: options.outgoing,
        ..NodeSpec::new(&node_name, &dir.join(&node_name), accel)
    };
    cluster.nodes.push(Node::create(spec, &options.image)?);
    Ok(cluster)
}

/// A whole cluster keeps its name; what a killed run left is removed.
fn clear(dir: &camino::Utf8Path, name: &str, progress: &(dyn Fn(&str) + Sync)) -> Result<(), LabError> {
    if !dir.exists() {
        return Ok(());
    }
    if Cluster::open(dir).is_ok_and(|cluster| cluster.state.phase == Phase::Complete) {
        return Err(LabError::Exists { name: name.to_owned() });
    }
    progress("removing what an earlier run left behind");
    leftovers::remove(dir)
}

impl Cluster {
    /// Waits until the API of the control-plane node answers, in maintenance mode or not.
    ///
    /// # Errors
    /// When it does not answer in time, or the machine is off.
    pub async fn wait_api(&self, patience: std::time::Duration) -> Result<(), LabError> {
        let (Some(node), Some(address)) = (self.control_plane(), self.api()) else { return Ok(()) };
        let context = node.spec().config.is_some().then(|| self.context()).transpose()?;
        api::wait(node, &address, context.as_ref(), patience).await
    }

    /// Waits until the API of the control-plane node answers the administrator: it has its config by now, however
    /// it got it.
    ///
    /// # Errors
    /// When it does not answer in time, or the machine is off.
    pub async fn wait_configured(&self, patience: std::time::Duration) -> Result<(), LabError> {
        let (Some(node), Some(address)) = (self.control_plane(), self.api()) else { return Ok(()) };
        api::wait(node, &address, Some(&self.context()?), patience).await
    }
}
