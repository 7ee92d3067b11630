//! `cargo xtask image`: root image, unified kernel image, disk image and what goes with them.
//!
//! Each step is kept by the contents of what it is made from, and the results are placed in `_out`.
//! The same commit makes the same bytes: times come from the commit, identities from hashes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use corten_constants::VERSION;
use corten_image::manifest::Manifest;
use corten_image::release;
use corten_image::tree::Tree;
use corten_image::verity::RootHash;

use crate::cache;
use crate::components;
use crate::kernel::{self, Kernel};
use crate::packages::{self, Group};
use crate::progress::{self, Step};
use crate::sbom;

pub(crate) mod boot;
pub(crate) mod containers;
pub(crate) mod debian;
mod facts;
pub(crate) mod programs;
pub(crate) mod root;

use self::boot::{Disk, Ingredients};
use self::containers::Containers;
use self::debian::Unpacked;
use self::programs::Programs;
use self::root::{Built, Root, Sources};

const MANIFEST: &str = "crates/image/manifest.toml";
const LOCK: &str = "crates/image/debian.lock";
const BOOT_LOADER_PACKAGE: &str = "systemd-boot-efi";
const CERTIFICATES_PACKAGE: &str = "ca-certificates";

/// What a build leaves in `_out`.
#[derive(Debug)]
pub(crate) struct Artifacts {
    /// Squashfs followed by its hash tree.
    pub root: PathBuf,
    /// The root hash, in hexadecimal.
    pub root_hash: PathBuf,
    /// The kernel.
    pub vmlinuz: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// The kernel command line.
    pub cmdline: PathBuf,
    /// The unified kernel image.
    pub uki: PathBuf,
    /// A disk, sparse.
    pub disk: PathBuf,
    /// The bill of materials.
    pub sbom: PathBuf,
    /// The container image of test and demo pods.
    pub workload: PathBuf,
    /// PID 1.
    pub machined: PathBuf,
    /// The client.
    pub osctl: PathBuf,
}

/// `cargo xtask image`.
pub(crate) fn run() -> Result<()> {
    let artifacts = build()?;
    progress::header("Image");
    for (name, path) in artifacts.named() {
        // The disk image is sparse: what counts is what it takes.
        let size = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?.len();
        let size = size.min(boot::allocated(path)?);
        let shown = path.strip_prefix(cache::workspace_root()).unwrap_or(path);
        progress::note(name, &format!("{:.1} MB  {}", size_in_mb(size), shown.display()));
    }
    Ok(())
}

impl Artifacts {
    /// Every artifact with its name.
    pub(crate) fn named(&self) -> [(&'static str, &Path); 11] {
        [
            ("root image", &self.root),
            ("root hash", &self.root_hash),
            ("kernel", &self.vmlinuz),
            ("initramfs", &self.initramfs),
            ("command line", &self.cmdline),
            ("unified kernel image", &self.uki),
            ("disk image", &self.disk),
            ("bill of materials", &self.sbom),
            ("workload image", &self.workload),
            ("machined", &self.machined),
            ("osctl", &self.osctl),
        ]
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn size_in_mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Builds what is not in the cache, and places all of it in `_out`.
pub(crate) fn build() -> Result<Artifacts> {
    let plan = prepare()?;
    let root = root::image(&plan.tree, &plan.manifest, plan.epoch)?;
    let root_hash = root.hash()?;
    let files = boot::files(&plan.ingredients(root_hash))?;
    let disk = boot::disk(&Disk { root: &root, root_hash, uki: &files.uki, loader: &plan.loader() })?;
    place(&Artifacts {
        root: root.image,
        root_hash: root.hash,
        vmlinuz: plan.kernel.vmlinuz,
        initramfs: files.initramfs,
        cmdline: files.cmdline,
        uki: files.uki,
        disk,
        sbom: plan.sbom,
        workload: plan.containers.workload,
        machined: plan.programs.path("machined"),
        osctl: plan.programs.path("osctl"),
    })
}

/// Makes everything a second time, in another folder and from the same programs, and compares it with
/// what is in the cache: the same input must make the same bytes.
pub(crate) fn check_reproducible() -> Result<()> {
    let plan = prepare()?;
    let step = Step::start("image", "making it a second time");
    let first_root = root::image(&plan.tree, &plan.manifest, plan.epoch)?;
    let first = boot::files(&plan.ingredients(first_root.hash()?))?;
    let loader = plan.loader();
    let root_hash = first_root.hash()?;
    let first_disk = boot::disk(&Disk { root: &first_root, root_hash, uki: &first.uki, loader: &loader })?;

    let second = tempfile::Builder::new().prefix("second-").tempdir_in(cache::out_dir())?;
    let folder = second.path();
    root::assemble(&plan.tree, &plan.manifest, plan.epoch, folder)?;
    let second_root = Root::in_folder(folder);
    let root_hash = second_root.hash()?;
    boot::assemble(&plan.ingredients(root_hash), folder)?;
    let uki = folder.join(boot::UKI);
    boot::assemble_disk(&Disk { root: &second_root, root_hash, uki: &uki, loader: &loader }, folder)?;
    let pairs = [
        (&first_root.image, root::IMAGE),
        (&first_root.hash, root::HASH),
        (&first.initramfs, boot::INITRAMFS),
        (&first.cmdline, boot::CMDLINE),
        (&first.uki, boot::UKI),
        (&first_disk, boot::DISK),
    ];
    packages::ensure(Group::Qemu)?;
    for (path, name) in pairs {
        let other = folder.join(name);
        let differs = || format!("{name} is not the same when it is made again");
        ensure!(fs::metadata(path)?.len() == fs::metadata(&other)?.len(), differs());
        // Unlike cmp, it skips the holes, which are most of the disk image.
        let mut compare = Command::new("qemu-img");
        compare.args(["compare", "-f", "raw", "-F", "raw"]).arg(path).arg(&other);
        progress::output(&mut compare).with_context(differs)?;
    }
    step.done("the same bytes");
    Ok(())
}

/// All that an image is made of.
struct Plan {
    programs: Programs,
    containers: Containers,
    kernel: Kernel,
    manifest: Manifest,
    /// Folder with systemd's EFI programs.
    efi: PathBuf,
    menu_entry: String,
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
    Ok(Plan { programs, containers, kernel, manifest, efi, menu_entry, sbom, epoch, tree })
}

impl Plan {
    fn ingredients(&self, root_hash: RootHash) -> Ingredients<'_> {
        Ingredients {
            kernel: &self.kernel,
            init: self.programs.path("machined"),
            menu_entry: &self.menu_entry,
            stub: self.efi.join("linuxx64.efi.stub"),
            root_hash,
        }
    }

    fn loader(&self) -> PathBuf {
        self.efi.join("systemd-bootx64.efi")
    }
}

/// Puts results where users and tests look for them.
fn place(built: &Artifacts) -> Result<Artifacts> {
    let out = cache::out_dir();
    let to = |from: &Path, name: &str| {
        let target = out.join(name);
        cache::place(from, &target).map(|()| target)
    };
    Ok(Artifacts {
        root: to(&built.root, "root.img")?,
        root_hash: to(&built.root_hash, "roothash")?,
        vmlinuz: to(&built.vmlinuz, "vmlinuz")?,
        initramfs: to(&built.initramfs, "initramfs")?,
        cmdline: to(&built.cmdline, "cmdline")?,
        uki: to(&built.uki, "corten.efi")?,
        disk: to(&built.disk, "corten.raw")?,
        sbom: to(&built.sbom, "sbom.spdx.json")?,
        workload: to(&built.workload, "images/workload.tar")?,
        machined: to(&built.machined, "bin/machined")?,
        osctl: to(&built.osctl, "bin/osctl")?,
    })
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
