//! `osctl cluster`: clusters of QEMU machines on this computer.

use std::time::Duration;

use camino::Utf8PathBuf;
use corten_client::Contexts;
use corten_lab::{Boot, Image, LabError, cluster};
use serde::Serialize;

use super::{bootstrap, health};
use crate::{
    error::CommandError,
    output::{self, Format, Table},
    session::Global,
    text::{bytes, parse_span, span},
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a cluster of one machine, and wait until it is healthy
    Create(CreateArgs),
    /// List clusters
    Show,
    /// Switch a cluster's machines off and remove all that belongs to it
    Destroy {
        /// Name of the cluster
        #[arg(default_value = "demo")]
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Name of the cluster and of its context
    #[arg(default_value = "demo")]
    name: String,
    /// Folder of the image [default: found beside this program, or in _out]
    #[arg(long, value_name = "FOLDER")]
    image: Option<Utf8PathBuf>,
    /// Memory of the machine
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    memory: u32,
    /// Processors of the machine
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    cpus: u32,
    /// Size of the machine's disk
    #[arg(long, value_name = "GIB", default_value_t = 20)]
    disk: u32,
    /// Start through UEFI firmware and the boot loader instead of straight into the kernel
    #[arg(long)]
    firmware: bool,
    /// Give the machine no config: it waits in maintenance
    #[arg(long)]
    maintenance: bool,
    /// Stop once the API answers, before there is a Kubernetes cluster
    #[arg(long)]
    no_bootstrap: bool,
    /// How long the cluster may take to become healthy
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "15m")]
    wait: Duration,
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
    folder: String,
}

pub(crate) async fn run(command: &Command, global: &Global) -> Result<(), CommandError> {
    match command {
        Command::Create(args) => create(args, global).await,
        Command::Show => show(global.output),
        Command::Destroy { name } => destroy(name, global),
    }
}

async fn create(args: &CreateArgs, global: &Global) -> Result<(), CommandError> {
    let image = match &args.image {
        Some(folder) => Image::open(folder),
        None => Image::find(),
    };
    let mut options = cluster::Options::new(&args.name, cluster::default_root(), image.map_err(failed)?);
    options.memory_mib = args.memory;
    options.cpus = args.cpus;
    options.disk = corten_lab::DiskSpec::system(Some(args.disk), corten_lab::Cache::Unsafe);
    options.maintenance = args.maintenance;
    if args.firmware {
        options.boot = Boot::Firmware;
    }
    let path = global.contexts_path()?;
    let mut contexts = Contexts::load(&path)?;
    let start = tokio::time::Instant::now();
    let made = cluster::create(&options, &output::say).await.map_err(failed)?;
    // A cluster of that name is gone when another can be made: so is its context.
    contexts.contexts.remove(&args.name);
    contexts.add(&args.name, made.context().map_err(failed)?);
    contexts.save(&path)?;
    output::say(&format!(
        "the API answers after {}; the current context is '{}'",
        span(start.elapsed()),
        args.name
    ));
    if args.maintenance || args.no_bootstrap {
        return Ok(());
    }
    let here = Global {
        context: Some(args.name.clone()),
        nodes: Vec::new(),
        endpoints: Vec::new(),
        ..global.clone()
    };
    bootstrap::run(&bootstrap::Args {}, &here.session()?).await?;
    health::run(&health::Args::waiting(args.wait), &here.session()?).await?;
    output::say(&format!("the cluster is healthy after {}", span(start.elapsed())));
    // The cluster's own endpoint is an address that only the machine knows.
    let server = made.kubernetes().unwrap_or_default();
    output::say(&format!("for kubectl: osctl kubeconfig --server {server}"));
    Ok(())
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
        let memory_mib = |node: &corten_lab::Node| u64::from(node.spec().memory_mib);
        Self {
            name: cluster.state().name.clone(),
            running: cluster.nodes().iter().all(corten_lab::Node::running),
            api: cluster.api().unwrap_or_default(),
            kubernetes: cluster.kubernetes().unwrap_or_default(),
            nodes: cluster.state().nodes.clone(),
            memory_bytes: cluster.nodes().iter().map(memory_mib).sum::<u64>() << 20,
            folder: cluster.dir().to_string(),
        }
    }
}

fn view(clusters: &[View]) -> String {
    let mut table = Table::new(["NAME", "STATE", "NODES", "MEMORY", "API", "KUBERNETES", "FOLDER"]);
    for cluster in clusters {
        table.row(vec![
            cluster.name.clone(),
            if cluster.running { "running" } else { "off" }.to_owned(),
            cluster.nodes.len().to_string(),
            bytes(cluster.memory_bytes),
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
            folder: "/home/me/.local/state/corten/clusters/demo".to_owned(),
        }]);
        insta::assert_snapshot!(view);
    }
}
