//! `osctl cluster create`: from nothing, a disk image or an install medium to a healthy cluster.

use std::{path::Path, time::Duration};

use camino::Utf8PathBuf;
use corten_client::Contexts;
use corten_lab::{
    Boot, Bus, Cache, DiskSpec, Image, Mark,
    cluster::{self, Cluster},
};

use super::failed;
use crate::{
    commands::{apply_config, bootstrap, health},
    error::CommandError,
    output,
    session::Global,
    text::{parse_span, span},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
    #[arg(long, alias = "disk", value_name = "GIB", default_value_t = 20)]
    disk_size: u32,
    /// What the disk is connected to: virtio, nvme, sata or scsi
    #[arg(long, value_name = "BUS", default_value = "virtio")]
    disk_bus: Bus,
    /// Start the kernel without firmware and boot loader: some seconds sooner, but no update would ever start
    #[arg(long, conflicts_with = "iso")]
    direct: bool,
    /// Start the install medium on a machine with a blank disk, and stop in maintenance with its fingerprint
    #[arg(long)]
    iso: bool,
    /// With --iso: install on that disk, and go on until the cluster is healthy
    #[arg(long, requires = "iso", conflicts_with = "maintenance")]
    install: bool,
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

pub(crate) async fn run(args: &Args, global: &Global) -> Result<(), CommandError> {
    let image = match &args.image {
        Some(folder) => Image::open(folder),
        None => Image::find(),
    };
    let options = options(args, image.map_err(failed)?)?;
    let path = global.contexts_path()?;
    let mut contexts = Contexts::load(&path)?;
    let start = tokio::time::Instant::now();
    let made = cluster::create(&options, &output::say).await.map_err(failed)?;
    save_context(args, &made, &mut contexts, &path)?;
    output::say(&format!(
        "the API answers after {}; the current context is '{}'",
        span(start.elapsed()),
        args.name
    ));
    if args.iso {
        let (address, fingerprint) = invitation(&made).await?;
        if !args.install {
            return output::print(&format!("address: {address}\nfingerprint: {fingerprint}\n"));
        }
        install(&made, address, &fingerprint, global).await?;
        output::say(&format!("the machine runs from its disk after {}", span(start.elapsed())));
    }
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

fn options(args: &Args, image: Image) -> Result<cluster::Options, CommandError> {
    let mut options = cluster::Options::new(&args.name, cluster::default_root(), image);
    options.memory_mib = args.memory;
    options.cpus = args.cpus;
    options.disk = DiskSpec { bus: args.disk_bus, ..DiskSpec::system(Some(args.disk_size), Cache::Unsafe) };
    options.maintenance = args.maintenance;
    options.boot = if args.direct { Boot::Direct } else { Boot::Firmware };
    if args.iso { options.from_iso().map_err(failed) } else { Ok(options) }
}

/// A cluster of that name is gone when another can be made: so is its context.
fn save_context(
    args: &Args,
    made: &Cluster,
    contexts: &mut Contexts,
    path: &Path,
) -> Result<(), CommandError> {
    contexts.contexts.remove(&args.name);
    contexts.add(&args.name, made.context().map_err(failed)?);
    Ok(contexts.save(path)?)
}

/// Address and fingerprint of a machine that runs from the medium.
async fn invitation(made: &Cluster) -> Result<(String, String), CommandError> {
    let patience = made.control_plane().map(|node| node.timeouts().api()).unwrap_or_default();
    let fingerprint = made.wait_fingerprint(Mark::START, patience).await.map_err(failed)?;
    Ok((made.api().unwrap_or_default(), fingerprint))
}

/// As a person would: apply a config with an Install document, watch, and wait for the machine to come back.
async fn install(
    made: &Cluster,
    address: String,
    fingerprint: &str,
    global: &Global,
) -> Result<(), CommandError> {
    let Some(node) = made.control_plane() else { return Ok(()) };
    let serial = node.spec().disks.first().map(|disk| disk.serial.clone()).unwrap_or_default();
    let file = made.install_config(&format!("{{serial: {serial}}}"), false).map_err(failed)?;
    let fingerprint =
        fingerprint.parse().map_err(|error| CommandError::other("read the fingerprint", error))?;
    output::say("installing");
    let there = Global { nodes: vec![address], ..global.clone() };
    apply_config::run(&apply_config::Args::first(file.into_string(), fingerprint), &there).await?;
    // It shuts down, and then boots through the firmware.
    let patience = node.timeouts().api() + node.timeouts().power_off();
    made.wait_configured(patience).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(["create"].into_iter().chain(line.split_whitespace())).map(|line| line.args)
    }

    #[test]
    fn a_disk_is_described_by_its_size_and_its_bus() {
        let args = parse("--disk-size 30 --disk-bus nvme").unwrap();
        assert_eq!((args.disk_size, args.disk_bus), (30, Bus::Nvme));
        assert_eq!(parse("--disk 7").unwrap().disk_size, 7);
        assert!(parse("--disk-bus floppy").unwrap_err().to_string().contains("virtio, nvme, sata or scsi"));
    }

    #[test]
    fn installing_needs_a_medium_and_is_not_waiting() {
        assert!(parse("--iso --install").unwrap().install);
        assert!(parse("--install").is_err());
        assert!(parse("--iso --install --maintenance").is_err());
    }
}
