//! What a build leaves in `_out`, by name.

use std::path::{Path, PathBuf};

use anyhow::Result;
use corten_constants::VERSION;
use corten_image::variant::{ABOUT, ARCHITECTURE, ROOT, STUB, UKI};

use crate::cache;

/// The files of a build.
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
    /// The install medium.
    pub iso: PathBuf,
    /// Root image and unified kernel image, signed.
    pub bundle: PathBuf,
    /// What is in the install medium and in the bundle.
    pub about: PathBuf,
    /// systemd's EFI stub, with which tests make other kernel images.
    pub stub: PathBuf,
    /// The boot loader.
    pub loader: PathBuf,
    /// The kernel image's os-release.
    pub menu_entry: PathBuf,
    /// The bill of materials.
    pub sbom: PathBuf,
    /// The container image of test and demo pods.
    pub workload: PathBuf,
    /// PID 1.
    pub machined: PathBuf,
    /// The client.
    pub osctl: PathBuf,
}

impl Artifacts {
    /// Where users and tests look for them.
    pub(crate) fn in_out() -> Self {
        let out = |name: &str| cache::out_dir().join(name);
        Self {
            root: out(ROOT),
            root_hash: out("roothash"),
            vmlinuz: out("vmlinuz"),
            initramfs: out("initramfs"),
            cmdline: out("cmdline"),
            uki: out(UKI),
            disk: out("corten.raw"),
            iso: out("corten.iso"),
            bundle: out(&bundle_name(VERSION)),
            about: out(ABOUT),
            stub: out(STUB),
            loader: out("loader.efi"),
            menu_entry: out("os-release-uki"),
            sbom: out("sbom.spdx.json"),
            workload: out("images/workload.tar"),
            machined: out("bin/machined"),
            osctl: out("bin/osctl"),
        }
    }

    /// Every artifact with its name.
    pub(crate) fn named(&self) -> [(&'static str, &Path); 17] {
        [
            ("root image", &self.root),
            ("root hash", &self.root_hash),
            ("kernel", &self.vmlinuz),
            ("initramfs", &self.initramfs),
            ("command line", &self.cmdline),
            ("unified kernel image", &self.uki),
            ("disk image", &self.disk),
            ("ISO", &self.iso),
            ("update bundle", &self.bundle),
            ("description", &self.about),
            ("EFI stub", &self.stub),
            ("boot loader", &self.loader),
            ("boot menu entry", &self.menu_entry),
            ("bill of materials", &self.sbom),
            ("workload image", &self.workload),
            ("machined", &self.machined),
            ("osctl", &self.osctl),
        ]
    }

    /// Puts results of the cache into `_out`.
    pub(crate) fn place(&self) -> Result<Self> {
        let placed = Self::in_out();
        for ((_, from), (_, to)) in self.named().into_iter().zip(placed.named()) {
            cache::place(from, to)?;
        }
        Ok(placed)
    }
}

/// The file name of a bundle.
pub(crate) fn bundle_name(version: &str) -> String {
    format!("corten-{version}-{ARCHITECTURE}.bundle")
}
