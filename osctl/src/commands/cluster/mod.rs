//! `osctl cluster`: clusters of QEMU machines on this computer.

mod create;

use corten_client::Contexts;
use corten_lab::{DiskSpec, LabError, Source, cluster};
use serde::Serialize;

use crate::{
    error::CommandError,
    output::{self, Format, Table},
    session::Global,
    text::bytes,
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a cluster of one machine, and wait until it is healthy
    Create(create::Args),
    /// List clusters
    Show,
    /// Switch a cluster's machines off and remove all that belongs to it
    Destroy {
        /// Name of the cluster
        #[arg(default_value = "demo")]
        name: String,
    },
}

/// A cluster as `show` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    name: String,
    running: bool,
    api: String,
    kubernetes: String,
    nodes: Vec<String>,
    memory_bytes: u64,
    disks: Vec<Disk>,
    /// `cdrom`, `usb` or `stick` when the install medium is in a machine.
    medium: Option<String>,
    folder: String,
}

/// A disk as `show` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Disk {
    name: String,
    bus: String,
    /// None when it is as large as the disk image.
    size_bytes: Option<u64>,
    /// It was blank when the machine was made.
    blank: bool,
}

pub(crate) async fn run(command: &Command, global: &Global) -> Result<(), CommandError> {
    match command {
        Command::Create(args) => create::run(args, global).await,
        Command::Show => show(global.output),
        Command::Destroy { name } => destroy(name, global),
    }
}

fn show(format: Format) -> Result<(), CommandError> {
    let clusters: Vec<_> =
        cluster::show(&cluster::default_root()).map_err(failed)?.iter().map(View::from).collect();
    match format {
        Format::Table => output::print(&view(&clusters)),
        format => {
            let value =
                serde_json::to_value(&clusters).map_err(|error| CommandError::other("write JSON", error))?;
            output::print_value(format, &value)
        }
    }
}

impl From<&cluster::Cluster> for View {
    fn from(cluster: &cluster::Cluster) -> Self {
        let specs: Vec<_> = cluster
            .nodes()
            .iter()
            .map(|node| node.current().unwrap_or_else(|_| node.spec().clone()))
            .collect();
        let mut media = specs.iter().filter_map(|spec| spec.medium.as_ref());
        let memory_mib = |node: &corten_lab::Node| u64::from(node.spec().memory_mib);
        Self {
            name: cluster.state().name.clone(),
            running: cluster.nodes().iter().all(corten_lab::Node::running),
            api: cluster.api().unwrap_or_default(),
            kubernetes: cluster.kubernetes().unwrap_or_default(),
            nodes: cluster.state().nodes.clone(),
            memory_bytes: cluster.nodes().iter().map(memory_mib).sum::<u64>() << 20,
            disks: specs.iter().flat_map(|spec| &spec.disks).map(Disk::from).collect(),
            medium: media.next().map(|medium| medium.kind.name().to_owned()),
            folder: cluster.dir().to_string(),
        }
    }
}

impl From<&DiskSpec> for Disk {
    fn from(disk: &DiskSpec) -> Self {
        Self {
            name: disk.name.clone(),
            bus: disk.bus.name().to_owned(),
            size_bytes: disk.size_mib.map(|mib| mib << 20),
            blank: disk.source == Source::Blank,
        }
    }
}

impl std::fmt::Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.size_bytes {
            Some(size) => write!(f, "{} {}", self.bus, bytes(size)),
            None => f.write_str(&self.bus),
        }
    }
}

/// `virtio 20.0 GiB + cdrom`
fn hardware(cluster: &View) -> String {
    let parts = cluster.disks.iter().map(ToString::to_string).chain(cluster.medium.clone());
    parts.collect::<Vec<_>>().join(" + ")
}

fn view(clusters: &[View]) -> String {
    let mut table = Table::new(["NAME", "STATE", "NODES", "MEMORY", "DISKS", "API", "KUBERNETES", "FOLDER"]);
    for cluster in clusters {
        table.row(vec![
            cluster.name.clone(),
            if cluster.running { "running" } else { "off" }.to_owned(),
            cluster.nodes.len().to_string(),
            bytes(cluster.memory_bytes),
            hardware(cluster),
            cluster.api.clone(),
            cluster.kubernetes.clone(),
            cluster.folder.clone(),
        ]);
    }
    table.render()
}

fn destroy(name: &str, global: &Global) -> Result<(), CommandError> {
    let root = cluster::default_root();
    let context = cluster::find(&root, name).and_then(|cluster| cluster.context()).ok();
    cluster::destroy(&root, name).map_err(failed)?;
    let path = global.contexts_path()?;
    let mut contexts = Contexts::load(&path)?;
    // Only its own: another cluster may be known by the same name.
    if context.is_some() && contexts.contexts.get(name) == context.as_ref() {
        contexts.remove(name);
        contexts.save(&path)?;
    }
    output::say(&format!("cluster '{name}' is gone"));
    Ok(())
}

fn failed(error: LabError) -> CommandError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    CommandError::other("local cluster", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_one_line() {
        let view = view(&[View {
            name: "demo".to_owned(),
            running: true,
            api: "127.0.0.1:50000".to_owned(),
            kubernetes: "https://127.0.0.1:6443".to_owned(),
            nodes: vec!["demo-1".to_owned()],
            memory_bytes: 4 << 30,
            disks: vec![Disk {
                name: "system".to_owned(),
                bus: "nvme".to_owned(),
                size_bytes: Some(20 << 30),
                blank: true,
            }],
            medium: Some("cdrom".to_owned()),
            folder: "/home/me/.local/state/corten/clusters/demo".to_owned(),
        }]);
        insta::assert_snapshot!(view);
    }
}
