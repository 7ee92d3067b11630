//! The kernel of an image: Debian's, taken apart into what the image needs.
//!
//! `kernel/` says which modules go where, what the command line is and what the configuration must
//! have; this checks the last and carries out the first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use corten_image::kconfig::{self, Requirements};
use corten_image::modules::{self, Group, ModuleList, Selection};

use crate::cache::{self, Inputs};
use crate::image::debian::{self, Unpacked};
use crate::progress;

/// Debian's package that depends on the newest kernel of the flavour that we use.
const META_PACKAGE: &str = "linux-image-amd64";
/// What depmod needs beside the modules themselves, and what it writes.
const KEPT: &[&str] = &["modules.builtin", "modules.builtin.modinfo", "modules.order"];

/// A kernel, ready to go into an image.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// As `uname -r` says it.
    pub release: String,
    /// The package that it comes from.
    pub package: Unpacked,
    /// The compressed kernel.
    pub vmlinuz: PathBuf,
    /// Modules of the running system: a folder named like the release is inside.
    pub root_modules: PathBuf,
    /// Modules of the initramfs, likewise.
    pub initramfs_modules: PathBuf,
    /// Names of the modules that are loaded at boot.
    pub load: Load,
}

/// Modules that are loaded at boot.
#[derive(Debug)]
pub(crate) struct Load {
    /// By the initramfs.
    pub initramfs: Vec<String>,
    /// By the running system.
    pub root: Vec<String>,
}

/// Fetches the kernel, checks its configuration and picks its modules.
pub(crate) fn prepare() -> Result<Kernel> {
    let folder = cache::workspace_root().join("kernel");
    let name = debian::dependency(META_PACKAGE, "linux-image-")?;
    let lock = folder.join("kernel.lock");
    let mut packages = debian::fetch("kernel/package", &[debian::recent(&name)], &lock)?;
    let package = packages.remove(&name).context("the kernel's package was fetched")?;
    let release = name.trim_start_matches("linux-image-").to_owned();
    let boot = package.root.join("boot");
    check_configuration(&folder, &boot.join(format!("config-{release}")))?;

    let text = fs::read_to_string(folder.join("modules.toml")).context("read kernel/modules.toml")?;
    let list: ModuleList = toml::from_str(&text).context("parse kernel/modules.toml")?;
    let available = Available::index(&package, &release)?;
    let initramfs = available.pick("initramfs", &list.initramfs)?;
    let root = available.pick("root", &list.root)?;
    Ok(Kernel {
        vmlinuz: boot.join(format!("vmlinuz-{release}")),
        root_modules: root.0,
        initramfs_modules: initramfs.0,
        load: Load { initramfs: initramfs.1, root: root.1 },
        release,
        package,
    })
}

fn check_configuration(folder: &Path, config: &Path) -> Result<()> {
    let text =
        fs::read_to_string(folder.join("config-check.toml")).context("read kernel/config-check.toml")?;
    let requirements: Requirements = toml::from_str(&text).context("parse kernel/config-check.toml")?;
    let config = fs::read_to_string(config).with_context(|| format!("read {}", config.display()))?;
    let (wishes, faults): (Vec<_>, Vec<_>) =
        kconfig::check(&config, &requirements).into_iter().partition(|finding| finding.optional);
    if !wishes.is_empty() {
        let names: Vec<&str> = wishes.iter().map(|wish| wish.name.as_str()).collect();
        progress::note("kernel", &format!("wishes that this kernel does not fulfil: {}", names.join(", ")));
    }
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    ensure!(
        faults.is_empty(),
        "the kernel's configuration is not what kernel/ asks for:\n{}",
        faults.join("\n")
    );
    Ok(())
}

/// Every module of the package, as depmod sees them.
struct Available {
    release: String,
    /// The package's hash, which stands for all of it.
    package: String,
    /// Holds `lib/modules/<release>`.
    indexed: PathBuf,
    kernel: modules::Kernel,
}

impl Available {
    /// The package has no index, because Debian makes it when a kernel is installed.
    fn index(package: &Unpacked, release: &str) -> Result<Self> {
        let inputs = Inputs::new().value("package", &package.sha256).value("version", "1");
        let below = format!("lib/modules/{release}");
        let indexed = cache::build("kernel/index", &inputs, &[&below], |result| {
            copy_folder(&package.root.join(&below), &result.join(&below))?;
            depmod(result, release)
        })?;
        let read = |name: &str| {
            let path = indexed.join(&below).join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let kernel = modules::Kernel::parse(&read("modules.dep")?, &read("modules.builtin")?);
        Ok(Self { release: release.to_owned(), package: package.sha256.clone(), indexed, kernel })
    }

    /// Makes a folder with the modules of a list, and tells which of them are loaded at boot.
    ///
    /// They are not compressed one by one: the squashfs and the initramfs are compressed as a whole,
    /// and the kernel then need not unpack each module when it loads it.
    fn pick(&self, place: &str, groups: &[Group]) -> Result<(PathBuf, Vec<String>)> {
        let selection = self.kernel.select(groups).context("kernel/modules.toml does not fit this kernel")?;
        let paths: Vec<&str> = selection.paths.iter().map(String::as_str).collect();
        let inputs = Inputs::new()
            .value("package", &self.package)
            .value("modules", paths.join("\n"))
            .value("version", "3");
        let result = cache::build(&format!("kernel/{place}"), &inputs, &[&self.release], |result| {
            self.unpack(&selection, result)
        })?;
        let lacking = match selection.lacking.as_slice() {
            [] => String::new(),
            names => format!("; this kernel has no {}", names.join(", ")),
        };
        progress::note("kernel", &format!("{} modules for the {place}{lacking}", selection.paths.len()));
        Ok((result, selection.load))
    }

    fn unpack(&self, selection: &Selection, result: &Path) -> Result<()> {
        let from = self.indexed.join("lib/modules").join(&self.release);
        let base = tempfile::tempdir_in(result)?;
        let to = base.path().join("lib/modules").join(&self.release);
        for name in KEPT {
            fs::create_dir_all(&to)?;
            fs::copy(from.join(name), to.join(name)).with_context(|| format!("copy {name}"))?;
        }
        for path in &selection.paths {
            let target = to.join(path.trim_end_matches(".xz"));
            fs::create_dir_all(target.parent().context("a module is in a folder")?)?;
            decompress(&from.join(path), &target)?;
        }
        depmod(base.path(), &self.release)?;
        drop_processor_aliases(&to.join("modules.alias"))?;
        fs::rename(&to, result.join(&self.release))?;
        base.close()?;
        Ok(())
    }
}

/// Every module for some kind of processor matches the processor as a device. Loaded that way, they all
/// load at every boot; the crypto API asks for them by name when somebody uses them.
fn drop_processor_aliases(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let kept: String =
        text.lines().filter(|line| !line.starts_with("alias cpu:")).map(|line| format!("{line}\n")).collect();
    Ok(fs::write(path, kept)?)
}

fn decompress(from: &Path, to: &Path) -> Result<()> {
    if from.extension().is_none_or(|extension| extension != "xz") {
        fs::copy(from, to).with_context(|| format!("copy {}", from.display()))?;
        return Ok(());
    }
    let output = fs::File::create(to)?;
    let status = Command::new("xz").arg("--decompress").arg("--stdout").arg(from).stdout(output).status();
    ensure!(status.context("start xz")?.success(), "xz could not unpack {}", from.display());
    Ok(())
}

fn depmod(base: &Path, release: &str) -> Result<()> {
    // Outside of root's PATH on Debian.
    let mut command = Command::new("/usr/sbin/depmod");
    progress::run("kernel", command.arg("--basedir").arg(base).arg(release))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            cache::place(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Names of the files in a folder and below, relative to it.
pub(crate) fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("list {}", next.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                left.push(entry.path());
            } else if kind.is_file() {
                found.insert(entry.path().strip_prefix(folder)?.to_path_buf());
            } else {
                bail!("{} is neither a file nor a folder", entry.path().display());
            }
        }
    }
    Ok(found)
}
