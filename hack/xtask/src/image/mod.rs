//! `cargo xtask image`: root image, unified kernel image, disk image and what goes with them.
//!
//! Each step is kept by the contents of what it is made from, and the results are placed in `_out`.
//! The same commit makes the same bytes: times come from the commit, identities from hashes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use corten_constants::VERSION;
use corten_image::manifest::Manifest;
use corten_image::verity::RootHash;

use crate::cache;
use crate::components::{self, Components};
use crate::kernel;
use crate::packages::{self, Group};
use crate::progress;
use crate::sbom;

pub(crate) mod boot;
pub(crate) mod containers;
pub(crate) mod debian;
pub(crate) mod programs;
pub(crate) mod root;

use self::boot::Ingredients;
use self::debian::Unpacked;
use self::root::{Built, Sources};

const MANIFEST: &str = "crates/image/manifest.toml";
const LOCK: &str = "crates/image/debian.lock";
const BOOT_LOADER_PACKAGE: &str = "systemd-boot-efi";
const CERTIFICATES_PACKAGE: &str = "ca-certificates";
const DAY: u64 = 24 * 60 * 60;

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
        let size = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?.len();
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
    let components = components::build_all()?;
    progress::header("Image");
    packages::ensure(Group::Build)?;
    packages::ensure(Group::Kernel)?;
    let programs = programs::build()?;
    let containers = containers::build(&programs, &components)?;
    let kernel = kernel::prepare()?;
    let manifest = manifest()?;
    let debian = fetch_packages(&manifest)?;
    let epoch = epoch()?;
    let os_release = os_release();
    let sbom = sbom::build(&components, &manifest, &debian, &kernel, epoch)?;

    let built = BTreeMap::from([
        ("pause-image", Built::File(containers.pause)),
        ("coredns-image", Built::File(containers.coredns)),
        ("sbom", Built::File(sbom.clone())),
        ("component-versions", Built::Bytes(component_versions(&components))),
        ("modules-load", Built::Bytes(boot::load_list(&kernel.load.root).into_bytes())),
        ("os-release", Built::Bytes(os_release.clone().into_bytes())),
        ("clock-epoch", Built::Bytes(format!("{epoch}\n").into_bytes())),
        ("ca-certificates", Built::Bytes(certificates(&debian)?)),
    ]);
    let sources =
        Sources { programs: &programs, components: &components, packages: &debian, kernel: &kernel, built };
    let tree = root::tree(&manifest, &sources)?;
    let root = root::image(&tree, &manifest, epoch)?;
    let root_hash: RootHash = fs::read_to_string(&root.hash)?.trim().parse()?;

    let efi = package(&debian, BOOT_LOADER_PACKAGE)?.root.join("usr/lib/systemd/boot/efi");
    let machined = programs.path("machined");
    let ingredients = Ingredients {
        kernel: &kernel,
        init: &machined,
        os_release: &os_release,
        stub: &efi.join("linuxx64.efi.stub"),
        root_hash,
    };
    let files = boot::files(&ingredients)?;
    let disk = boot::disk(&root, root_hash, &files.uki, &efi.join("systemd-bootx64.efi"))?;
    place(&Artifacts {
        root: root.image,
        root_hash: root.hash,
        vmlinuz: kernel.vmlinuz,
        initramfs: files.initramfs,
        cmdline: files.cmdline,
        uki: files.uki,
        disk,
        sbom,
        workload: containers.workload,
        machined,
        osctl: programs.path("osctl"),
    })
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

/// Component → version, as JSON; machined's `versions` reads it.
fn component_versions(components: &Components) -> Vec<u8> {
    let versions: BTreeMap<&str, &str> =
        components.programs.iter().map(|program| (program.component.as_str(), program.version.as_str())).collect();
    serde_json::json!(versions).to_string().into_bytes()
}

fn os_release() -> String {
    [
        "NAME=\"Corten\"".to_owned(),
        "ID=corten".to_owned(),
        format!("VERSION_ID={VERSION}"),
        format!("VERSION=\"{VERSION}\""),
        format!("PRETTY_NAME=\"Corten {VERSION}\""),
        "HOME_URL=\"https://corten.dev\"".to_owned(),
        String::new(),
    ]
    .join("\n")
}

/// The time that files carry and before which a node's clock is never set: the day of the commit, so
/// that commits of one day share what does not differ otherwise.
fn epoch() -> Result<u64> {
    let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut git = Command::new("git");
            git.current_dir(cache::workspace_root()).args(["log", "-1", "--format=%ct"]);
            progress::output(&mut git).context("without git history, set SOURCE_DATE_EPOCH")?
        }
    };
    let seconds: u64 = seconds.trim().parse().context("SOURCE_DATE_EPOCH is not a number of seconds")?;
    Ok(seconds - seconds % DAY)
}
