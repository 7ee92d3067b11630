//! `cargo xtask image`: root image, unified kernel image, disk image, ISO, update bundle and what goes with them.
//!
//! Each step is kept by the contents of what it is made from, and the results are placed in `_out`.
//! The same commit makes the same bytes: times come from the commit, identities from hashes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use corten_constants::VERSION;
use corten_image::manifest::Manifest;
use corten_image::release;
use corten_image::tree::Tree;
use corten_image::variant::Variant;
use corten_image::verity::RootHash;

use crate::cache;
use crate::components;
use crate::kernel::{self, Kernel};
use crate::packages::{self, Group};
use crate::progress::{self, Step};
use crate::sbom;

mod artifacts;
pub(crate) mod boot;
pub(crate) mod containers;
pub(crate) mod debian;
mod facts;
pub(crate) mod iso;
pub(crate) mod programs;
pub(crate) mod root;
mod set;
mod update;

pub(crate) use self::artifacts::Artifacts;
pub(crate) use self::update::{Further, signing_key};

use self::boot::{Boot, Ingredients};
use self::containers::Containers;
use self::debian::Unpacked;
use self::programs::Programs;
use self::root::{Built, Root, Sources};
use self::set::Set;

const MANIFEST: &str = "crates/image/manifest.toml";
const LOCK: &str = "crates/image/debian.lock";
const BOOT_LOADER_PACKAGE: &str = "systemd-boot-efi";
const CERTIFICATES_PACKAGE: &str = "ca-certificates";

/// Options of `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also make an update to the next version: the same programs under another version number
    #[arg(long)]
    next: bool,
}

/// `cargo xtask image`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let artifacts = build()?;
    let next = if args.next { build_further(&[Further::Next])? } else { Vec::new() };
    progress::header("Image");
    for (name, path) in artifacts.named() {
        // The disk image is sparse: what counts is what it takes.
        let size = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?.len();
        let size = size.min(boot::allocated(path)?);
        let shown = path.strip_prefix(cache::workspace_root()).unwrap_or(path);
        progress::note(name, &format!("{:.1} MB  {}", size_in_mb(size), shown.display()));
    }
    for folder in next {
        let shown = folder.strip_prefix(cache::workspace_root()).unwrap_or(&folder);
        progress::note("next version", &shown.display().to_string());
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn size_in_mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Builds what is not in the cache, and places all of it in `_out`.
pub(crate) fn build() -> Result<Artifacts> {
    Ok(build_planned()?.1)
}

/// Further versions of the image in `_out`, for `_out/update`: the folders with them.
pub(crate) fn build_further(wanted: &[Further]) -> Result<Vec<PathBuf>> {
    let (plan, _) = build_planned()?;
    update::further(&plan, wanted)
}

fn build_planned() -> Result<(Plan, Artifacts)> {
    let plan = prepare()?;
    let set = Set::cached(&plan)?;
    let artifacts = Artifacts {
        root: set.root.image,
        root_hash: set.root.hash,
        vmlinuz: plan.kernel.vmlinuz.clone(),
        initramfs: set.boot.initramfs,
        cmdline: set.boot.cmdline,
        uki: set.boot.uki,
        disk: set.disk,
        iso: set.iso,
        bundle: set.bundle,
        about: set.boot.about,
        stub: plan.stub(),
        loader: plan.loader(),
        menu_entry: set.boot.menu_entry,
        sbom: plan.sbom.clone(),
        workload: plan.containers.workload.clone(),
        machined: plan.programs.path("machined"),
        osctl: plan.programs.path("osctl"),
    };
    Ok((plan, artifacts.place()?))
}

/// Makes everything a second time, in another folder and from the same programs, and compares it with
/// what is in the cache: the same input must make the same bytes.
pub(crate) fn check_reproducible() -> Result<()> {
    let plan = prepare()?;
    let step = Step::start("image", "making it a second time");
    let first = Set::cached(&plan)?;
    let folder = tempfile::Builder::new().prefix("second-").tempdir_in(cache::out_dir())?;
    let second = Set::anew(&plan, folder.path())?;
    packages::ensure(Group::Qemu)?;
    for (path, other) in first.files().into_iter().zip(second.files()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let differs = || format!("{name} is not the same when it is made again");
        ensure!(fs::metadata(path)?.len() == fs::metadata(other)?.len(), differs());
        // Unlike cmp, it skips the holes, which are most of the disk image.
        let mut compare = Command::new("qemu-img");
        compare.args(["compare", "-f", "raw", "-F", "raw"]).arg(path).arg(other);
        progress::output(&mut compare).with_context(differs)?;
    }
    step.done("the same bytes");
    Ok(())
}

/// All that an image is made of.
#[derive(Debug)]
struct Plan {
    programs: Programs,
    containers: Containers,
    kernel: Kernel,
    manifest: Manifest,
    /// Folder with systemd's EFI programs.
    efi: PathBuf,
    menu_entry: String,
    /// The version of Kubernetes.
    kubernetes: String,
    sbom: PathBuf,
    epoch: u64,
    tree: Tree,
}

fn prepare() -> Result<Plan> {
    let components = components::build_all()?;
    progress::header("Image");
    packages::ensure(Group::Build)?;
    packages::ensure(Group::Kernel)?;
    let programs = programs::build()?;
    let containers = containers::build(&programs, &components)?;
    let kernel = kernel::prepare()?;
    let manifest = manifest()?;
    let debian = fetch_packages(&manifest)?;
    let epoch = facts::epoch()?;
    let sbom = sbom::build(&components, &manifest, &debian, &kernel, epoch)?;

    let built = BTreeMap::from([
        ("pause-image", Built::File(containers.pause.clone())),
        ("coredns-image", Built::File(containers.coredns.clone())),
        ("sbom", Built::File(sbom.clone())),
        ("update-key", Built::Bytes(update::public_key()?)),
        ("component-versions", Built::Bytes(facts::component_versions(&components))),
        ("modules-load", Built::Bytes(boot::load_list(&kernel.load.root).into_bytes())),
        ("os-release", Built::Bytes(release::os_release(VERSION).into_bytes())),
        ("clock-epoch", Built::Bytes(format!("{epoch}\n").into_bytes())),
        ("ca-certificates", Built::Bytes(certificates(&debian)?)),
    ]);
    let sources =
        Sources { programs: &programs, components: &components, packages: &debian, kernel: &kernel, built };
    let tree = root::tree(&manifest, &sources)?;
    let efi = package(&debian, BOOT_LOADER_PACKAGE)?.root.join("usr/lib/systemd/boot/efi");
    let menu_entry = release::menu_entry(VERSION);
    let kubernetes = components.program("kube")?.version.clone();
    Ok(Plan { programs, containers, kernel, manifest, efi, menu_entry, kubernetes, sbom, epoch, tree })
}

impl Plan {
    fn ingredients(&self, root_hash: RootHash) -> Ingredients<'_> {
        Ingredients {
            kernel: &self.kernel,
            init: self.programs.path("machined"),
            menu_entry: &self.menu_entry,
            kubernetes: &self.kubernetes,
            stub: self.stub(),
            root_hash,
        }
    }

    fn variant(&self, root: &Root, root_hash: RootHash, boot: &Boot) -> Result<Variant> {
        let (uki, stub) = (fs::read(&boot.uki)?, fs::read(self.stub())?);
        let about = self.ingredients(root_hash).about();
        Ok(Variant::new(about, &root.image, &uki, stub)?)
    }

    fn stub(&self) -> PathBuf {
        self.efi.join("linuxx64.efi.stub")
    }

    fn loader(&self) -> PathBuf {
        self.efi.join("systemd-bootx64.efi")
    }
}

fn manifest() -> Result<Manifest> {
    let text = fs::read_to_string(cache::workspace_root().join(MANIFEST)).context("read the manifest")?;
    Ok(Manifest::parse(&text)?)
}

fn fetch_packages(manifest: &Manifest) -> Result<BTreeMap<String, Unpacked>> {
    let mut wanted: Vec<_> = manifest.packages().into_iter().map(debian::stable).collect();
    wanted.push(debian::stable(CERTIFICATES_PACKAGE));
    wanted.push(debian::recent(BOOT_LOADER_PACKAGE));
    debian::fetch("image/packages", &wanted, &cache::workspace_root().join(LOCK))
}

fn package<'a>(packages: &'a BTreeMap<String, Unpacked>, name: &str) -> Result<&'a Unpacked> {
    packages.get(name).with_context(|| format!("package {name} was not fetched"))
}

/// All of Mozilla's certificates in one file, as Debian makes it when the package is installed.
fn certificates(packages: &BTreeMap<String, Unpacked>) -> Result<Vec<u8>> {
    let folder = package(packages, CERTIFICATES_PACKAGE)?.root.join("usr/share/ca-certificates/mozilla");
    let mut bundle = Vec::new();
    for path in kernel::files(&folder)? {
        bundle.extend(fs::read(folder.join(path))?);
    }
    Ok(bundle)
}
