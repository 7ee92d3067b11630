//! What boots the root image: initramfs, command line, unified kernel image and disk image.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use corten_constants::VERSION;
use corten_image::cmdline::Arguments;
use corten_image::cpio;
use corten_image::disk::{self, Contents};
use corten_image::iso;
use corten_image::release::About;
use corten_image::uki::{self, Parts};
use corten_image::variant::ABOUT;
use corten_image::verity::RootHash;
use installer::entry::EntryName;
use installer::esp;

use super::root::Root;
use crate::cache::{self, Inputs};
use crate::kernel::{self, Kernel};

const LEVEL: i32 = 19;

/// The initramfs, compressed.
pub(crate) const INITRAMFS: &str = "initramfs";
/// The kernel command line.
pub(crate) const CMDLINE: &str = "cmdline";
/// Kernel, initramfs and command line in one EFI program.
pub(crate) const UKI: &str = "corten.efi";
/// The same for the install medium.
pub(crate) const MEDIUM_UKI: &str = "medium.efi";
/// The kernel image's os-release.
pub(crate) const MENU_ENTRY: &str = "os-release";
/// The disk image.
pub(crate) const DISK: &str = "corten.raw";

/// What boots.
#[derive(Debug)]
pub(crate) struct Boot {
    /// The file [`INITRAMFS`].
    pub initramfs: PathBuf,
    /// The file [`CMDLINE`].
    pub cmdline: PathBuf,
    /// The file [`UKI`].
    pub uki: PathBuf,
    /// The file [`MEDIUM_UKI`].
    pub medium_uki: PathBuf,
    /// The file [`MENU_ENTRY`].
    pub menu_entry: PathBuf,
    /// The file [`ABOUT`].
    pub about: PathBuf,
}

impl Boot {
    /// What [`assemble`] left in a folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self {
            initramfs: file(INITRAMFS),
            cmdline: file(CMDLINE),
            uki: file(UKI),
            medium_uki: file(MEDIUM_UKI),
            menu_entry: file(MENU_ENTRY),
            about: file(ABOUT),
        }
    }
}

/// What the boot files are made of.
#[derive(Debug)]
pub(crate) struct Ingredients<'a> {
    /// The kernel and its modules.
    pub kernel: &'a Kernel,
    /// PID 1, static.
    pub init: PathBuf,
    /// Name and version, for the boot menu.
    pub menu_entry: &'a str,
    /// The version of Kubernetes.
    pub kubernetes: &'a str,
    /// systemd's EFI stub.
    pub stub: PathBuf,
    /// What vouches for the root image.
    pub root_hash: RootHash,
}

/// Makes the initramfs, the command line and the unified kernel image, unless they are there already.
pub(crate) fn files(ingredients: &Ingredients<'_>) -> Result<Boot> {
    let kernel = ingredients.kernel;
    let inputs = Inputs::new()
        .value("version", "3")
        .value("cmdline", ingredients.command_line()?)
        .value("os-release", ingredients.menu_entry)
        .value("about", ingredients.about().to_json())
        .value("load", kernel.load.initramfs.join("\n"))
        .file("kernel", &kernel.vmlinuz)?
        .file("init", &ingredients.init)?
        .file("stub", &ingredients.stub)?
        .folder("modules", &kernel.initramfs_modules)?;
    let outputs = [INITRAMFS, CMDLINE, UKI, MEDIUM_UKI, MENU_ENTRY, ABOUT];
    let result = cache::build("image/boot", &inputs, &outputs, |result| assemble(ingredients, result))?;
    Ok(Boot::in_folder(&result))
}

/// Writes the boot files into a folder.
pub(crate) fn assemble(ingredients: &Ingredients<'_>, result: &Path) -> Result<()> {
    let kernel = ingredients.kernel;
    let line = ingredients.command_line()?;
    let initramfs = initramfs(kernel, &ingredients.init)?;
    let (vmlinuz, stub) = (fs::read(&kernel.vmlinuz)?, fs::read(&ingredients.stub)?);
    let medium_line = format!("{line} {}", iso::ARGUMENT);
    for (name, line) in [(UKI, &line), (MEDIUM_UKI, &medium_line)] {
        let parts = Parts {
            os_release: ingredients.menu_entry.as_bytes(),
            command_line: line.as_bytes(),
            uname: kernel.release.as_bytes(),
            initramfs: &initramfs,
            kernel: &vmlinuz,
        };
        let uki = uki::build(&stub, &parts).context("make the unified kernel image")?;
        fs::write(result.join(name), uki)?;
    }
    fs::write(result.join(CMDLINE), &line)?;
    fs::write(result.join(MENU_ENTRY), ingredients.menu_entry)?;
    fs::write(result.join(ABOUT), ingredients.about().to_json())?;
    Ok(fs::write(result.join(INITRAMFS), initramfs)?)
}

impl Ingredients<'_> {
    /// What the image is, for the install medium.
    pub(crate) fn about(&self) -> About {
        About {
            version: VERSION.to_owned(),
            root_hash: self.root_hash.to_string(),
            kubernetes: self.kubernetes.to_owned(),
        }
    }

    fn command_line(&self) -> Result<String> {
        let path = cache::workspace_root().join("kernel/cmdline.toml");
        let text = fs::read_to_string(path).context("read kernel/cmdline.toml")?;
        let arguments: Arguments = toml::from_str(&text).context("parse kernel/cmdline.toml")?;
        Ok(arguments.line(&self.root_hash))
    }
}

/// `/init` and the modules that reaching the root needs.
fn initramfs(kernel: &Kernel, init: &Path) -> Result<Vec<u8>> {
    let out = zstd::Encoder::new(Vec::new(), LEVEL)?;
    let mut archive = cpio::Writer::new(out);
    // The kernel opens /dev/console for init before anything is mounted.
    archive.directory("dev", 0o755)?;
    archive.character_device("dev/console", 0o600, (5, 1))?;
    archive.file("init", 0o755, &fs::read(init)?)?;
    archive.symlink("lib", "usr/lib")?;
    for folder in ["proc", "run", "sys", "sysroot", "tmp", "usr", "usr/lib", "usr/lib/modules-load.d"] {
        archive.directory(folder, 0o755)?;
    }
    let load = load_list(&kernel.load.initramfs);
    archive.file("usr/lib/modules-load.d/corten.conf", 0o644, load.as_bytes())?;
    archive.directory("usr/lib/modules", 0o755)?;
    let mut folders = std::collections::BTreeSet::new();
    for path in kernel::files(&kernel.initramfs_modules)? {
        let target = format!("usr/lib/modules/{}", path.display());
        for (end, _) in target.match_indices('/').skip(3) {
            if folders.insert(target[..end].to_owned()) {
                archive.directory(&target[..end], 0o755)?;
            }
        }
        archive.file(&target, 0o644, &fs::read(kernel.initramfs_modules.join(&path))?)?;
    }
    Ok(archive.finish()?.finish()?)
}

/// Names of modules, one a line, in the form of `modules-load.d`.
pub(crate) fn load_list(names: &[String]) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}

/// What the disk image is made of.
#[derive(Debug)]
pub(crate) struct Disk<'a> {
    /// For slot A.
    pub root: &'a Root,
    /// What vouches for it.
    pub root_hash: RootHash,
    /// The unified kernel image.
    pub uki: &'a Path,
    /// The boot loader.
    pub loader: &'a Path,
}

/// Makes the disk image, unless it is there already.
pub(crate) fn disk(disk: &Disk<'_>) -> Result<PathBuf> {
    let inputs = Inputs::new()
        .value("version", "3")
        .value("loader.conf", esp::LOADER_SETTINGS)
        .file("roothash", &disk.root.hash)?
        .file("uki", disk.uki)?
        .file("loader", disk.loader)?;
    let result = cache::build("image/disk", &inputs, &[DISK], |result| assemble_disk(disk, result))?;
    let path = result.join(DISK);
    let (size, used) = (fs::metadata(&path)?.len(), allocated(&path)?);
    ensure!(used < size / 2, "the disk image is not sparse: {used} of {size} bytes are allocated");
    Ok(path)
}

/// Writes the disk image into a folder.
pub(crate) fn assemble_disk(disk: &Disk<'_>, result: &Path) -> Result<()> {
    let (uki, loader) = (fs::read(disk.uki)?, fs::read(disk.loader)?);
    let name = format!("EFI/Linux/{}", EntryName::first(VERSION.parse()?));
    let esp: &[(&str, &[u8])] =
        &[(esp::LOADER, &loader), (&name, &uki), (esp::LOADER_CONF, esp::LOADER_SETTINGS)];
    let contents = Contents { esp, root: &disk.root.image, root_hash: disk.root_hash };
    Ok(disk::write(&result.join(DISK), disk::DEFAULT_SIZE, &contents)?)
}

/// Bytes that a sparse file takes on disk.
pub(crate) fn allocated(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(path)?.blocks() * 512)
}
