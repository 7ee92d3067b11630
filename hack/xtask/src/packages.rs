//! The Debian packages that tasks need.
//!
//! `ensure` installs what a group lacks when it may, and otherwise fails with the command that does.
//! It is silent when nothing is missing. On Debian 12 some programs are too old: those come from
//! bookworm-backports, whose source is added when no source names it. From Debian 13 on, the main
//! suite has all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::progress::{self, Step};

const BACKPORTS: &str = "bookworm-backports";
const BACKPORTS_FILE: &str = "/etc/apt/sources.list.d/corten-backports.sources";
const BACKPORTS_SOURCE: &str = "Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
";

/// What a task is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Compile the components, and make the root file system and the disk image.
    Build,
    /// Take a kernel apart, and pack an initramfs.
    Kernel,
    /// Run nodes in QEMU.
    Qemu,
    /// Run the tests that use network and mount namespaces of this machine.
    Netns,
    /// Run Go, when there is none on this machine.
    Go,
}

/// A package, and the version that is needed when bookworm's own is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Package {
    name: &'static str,
    at_least: Option<&'static str>,
}

/// Where packages come from on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Bookworm,
    Newer,
}

const fn any(name: &'static str) -> Package {
    Package { name, at_least: None }
}

const fn at_least(name: &'static str, version: &'static str) -> Package {
    Package { name, at_least: Some(version) }
}

/// The C library, which is linked into the workspace's programs and into runc.
pub(crate) const C_LIBRARY: &str = "libc6-dev";
/// The library that is linked into runc.
pub(crate) const SECCOMP_LIBRARY: &str = "libseccomp-dev";

/// To compile the components and to make images.
const BUILD: &[Package] = &[
    any("binutils"),        // objcopy, readelf
    any("ca-certificates"), // Go modules are fetched over TLS
    any("cryptsetup-bin"),  // veritysetup
    any("dosfstools"),      // the EFI system partition
    any("e2fsprogs"),       // mkfs.ext4, in the image too
    any("gcc"),             // runc has C code
    any(C_LIBRARY),
    any(SECCOMP_LIBRARY),                // runc
    any("mtools"),                       // files in the EFI system partition
    any("nftables"),                     // nft, in the image
    any("pkg-config"),                   // runc
    any("protobuf-compiler"),            // containerd's client compiles its protos
    any("squashfs-tools"),               // the root file system
    at_least("systemd-boot-efi", "254"), // stub and boot loader
    any("xorriso"),                      // the install medium
    any("xfsprogs"),                     // mkfs.xfs, in the image
];
const KERNEL: &[Package] = &[any("cpio"), any("kmod"), any("xz-utils"), any("zstd")];
const QEMU: &[Package] = &[
    any("e2fsprogs"), // e2fsck and debugfs: tests look at disks that lost their power
    any("iproute2"),
    any("ovmf"), // UEFI firmware
    at_least("qemu-system-x86", "1:8.2"),
    at_least("qemu-utils", "1:8.2"),
];
const NETNS: &[Package] = &[any("iproute2"), any("nftables"), any("util-linux")];
/// Any Go from 1.21 on fetches the toolchain that a go.mod asks for.
const GO_BOOKWORM: &[Package] = &[at_least("golang-1.23-go", "1.23")];
const GO: &[Package] = &[any("golang-go")];

impl Group {
    fn packages(self, release: Release) -> &'static [Package] {
        match (self, release) {
            (Self::Build, _) => BUILD,
            (Self::Kernel, _) => KERNEL,
            (Self::Qemu, _) => QEMU,
            (Self::Netns, _) => NETNS,
            (Self::Go, Release::Bookworm) => GO_BOOKWORM,
            (Self::Go, Release::Newer) => GO,
        }
    }
}

/// Makes sure that the packages of a group are installed.
pub(crate) fn ensure(group: Group) -> Result<()> {
    let release = this_release()?;
    let packages = group.packages(release);
    let missing = missing(packages, &installed(packages)?)?;
    if missing.is_empty() {
        return Ok(());
    }
    let source_needed = needs_backports(&missing, release) && !names_backports(Path::new("/etc/apt"))?;
    let commands = install_commands(&missing, release);
    if !is_root()? {
        bail!("{}", advice(&missing, source_needed, &commands));
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let step = Step::start("packages", &format!("installing {}", names.join(", ")));
    if source_needed {
        fs::write(BACKPORTS_FILE, BACKPORTS_SOURCE).with_context(|| format!("write {BACKPORTS_FILE}"))?;
    }
    for command in commands {
        let mut apt = Command::new(&command[0]);
        apt.args(&command[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        progress::run("packages", &mut apt)?;
    }
    step.done("installed");
    Ok(())
}

fn this_release() -> Result<Release> {
    let text = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    match os_release_field(&text, "ID") {
        Some("debian") => {}
        other => bail!(
            "this task installs its tools from Debian 12 or newer; this is {}",
            other.unwrap_or("unknown")
        ),
    }
    match os_release_field(&text, "VERSION_CODENAME") {
        Some("bookworm") => Ok(Release::Bookworm),
        Some("buster" | "bullseye") => bail!("Debian 12 or newer is needed"),
        _ => Ok(Release::Newer),
    }
}

fn os_release_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"'))
}

/// The installed version of a package whose code is linked into what is built.
pub(crate) fn version(name: &'static str) -> Result<String> {
    let installed = installed(&[any(name)])?;
    installed.get(name).cloned().with_context(|| format!("the Debian package {name} is not installed"))
}

/// Which of the packages are installed, in which version.
fn installed(packages: &[Package]) -> Result<BTreeMap<String, String>> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${Package}\\t${db:Status-Status}\\t${Version}\\n"]);
    query.args(packages.iter().map(|package| package.name));
    // It fails when it does not know a package, and still lists the others.
    let output = query.output().context("start dpkg-query")?;
    Ok(parse_installed(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_installed(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (name, status, version) = (fields.next()?, fields.next()?, fields.next()?);
        (status == "installed").then(|| (name.to_owned(), version.to_owned()))
    });
    lines.collect()
}

fn missing(packages: &[Package], installed: &BTreeMap<String, String>) -> Result<Vec<Package>> {
    let mut missing = Vec::new();
    for package in packages {
        let there = match (installed.get(package.name), package.at_least) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(version), Some(needed)) => is_at_least(version, needed)?,
        };
        if !there {
            missing.push(*package);
        }
    }
    Ok(missing)
}

/// Versions are compared by dpkg, whose order of `~`, `+` and epochs is its own.
fn is_at_least(version: &str, needed: &str) -> Result<bool> {
    let mut compare = Command::new("dpkg");
    compare.args(["--compare-versions", version, "ge", needed]);
    Ok(compare.status().context("start dpkg")?.success())
}

fn needs_backports(missing: &[Package], release: Release) -> bool {
    release == Release::Bookworm && missing.iter().any(|package| package.at_least.is_some())
}

/// Whether apt already knows the backports, in a file of either format.
fn names_backports(apt: &Path) -> Result<bool> {
    let mut files = vec![apt.join("sources.list")];
    for entry in fs::read_dir(apt.join("sources.list.d")).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "list" || extension == "sources") {
            files.push(path);
        }
    }
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let mut lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.any(|line| !line.trim_start().starts_with('#') && line.contains(BACKPORTS)))
}

/// The commands that install packages, to be run or to be shown.
fn install_commands(missing: &[Package], release: Release) -> Vec<Vec<String>> {
    const INSTALL: &str = "apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300";
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (backported, plain): (Vec<Package>, Vec<Package>) = missing
        .iter()
        .copied()
        .partition(|package| release == Release::Bookworm && package.at_least.is_some());
    let mut commands = vec![words("apt-get update")];
    for (packages, from) in [(plain, ""), (backported, " --target-release bookworm-backports")] {
        if !packages.is_empty() {
            let mut command = words(&format!("{INSTALL}{from}"));
            command.extend(packages.iter().map(|package| package.name.to_owned()));
            commands.push(command);
        }
    }
    commands
}

fn advice(missing: &[Package], source_needed: bool, commands: &[Vec<String>]) -> String {
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let mut text = format!("Debian packages are missing: {}. To install them:\n", names.join(", "));
    if source_needed {
        let line = format!("deb http://deb.debian.org/debian {BACKPORTS} main");
        text.push_str(&format!("  echo '{line}' | sudo tee /etc/apt/sources.list.d/corten-backports.list\n"));
    }
    for command in commands {
        text.push_str(&format!("  sudo {}\n", command.join(" ")));
    }
    text
}

/// Whether this process may install packages.
fn is_root() -> Result<bool> {
    Ok(progress::output(Command::new("id").arg("-u"))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Group; 5] = [Group::Build, Group::Kernel, Group::Qemu, Group::Netns, Group::Go];

    #[test]
    fn only_installed_packages_that_are_new_enough_count() {
        let text =
            "qemu-utils\tinstalled\t1:7.2+dfsg-7\novmf\tconfig-files\t2022.11-6\niproute2\tinstalled\t6.1\n";
        let packages = Group::Qemu.packages(Release::Bookworm);
        let missing = missing(packages, &parse_installed(text)).unwrap();
        let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
        assert_eq!(names, ["e2fsprogs", "ovmf", "qemu-system-x86", "qemu-utils"]);
    }

    #[test]
    fn backports_are_used_on_bookworm_for_what_is_too_old_there() {
        let packages = Group::Qemu.packages(Release::Bookworm);
        let lines = |release| {
            let commands = install_commands(packages, release);
            commands.iter().map(|command| command.join(" ")).collect::<Vec<_>>()
        };
        let bookworm = lines(Release::Bookworm);
        assert_eq!(bookworm.len(), 3);
        assert!(bookworm[1].ends_with("Timeout=300 e2fsprogs iproute2 ovmf"), "{bookworm:?}");
        assert!(bookworm[2].ends_with("bookworm-backports qemu-system-x86 qemu-utils"), "{bookworm:?}");
        let newer = lines(Release::Newer);
        assert_eq!(newer.len(), 2);
        assert!(!newer[1].contains(BACKPORTS), "{newer:?}");
        assert!(needs_backports(packages, Release::Bookworm) && !needs_backports(packages, Release::Newer));
    }

    #[test]
    fn a_user_is_told_every_command() {
        let packages = Group::Go.packages(Release::Bookworm);
        let text = advice(packages, true, &install_commands(packages, Release::Bookworm));
        for part in
            ["golang-1.23-go", "sudo tee", "sudo apt-get update", "--target-release bookworm-backports"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn backports_are_found_in_either_kind_of_source() {
        let apt = tempfile::tempdir().unwrap();
        assert!(!names_backports(apt.path()).unwrap());
        let folder = apt.path().join("sources.list.d");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.list"), "# deb http://x bookworm-backports main\n").unwrap();
        fs::write(folder.join("b.sources.disabled"), BACKPORTS_SOURCE).unwrap();
        assert!(!names_backports(apt.path()).unwrap());
        fs::write(folder.join("c.sources"), BACKPORTS_SOURCE).unwrap();
        assert!(names_backports(apt.path()).unwrap());
    }

    #[test]
    fn the_release_file_is_read_with_and_without_quotes() {
        let text = "PRETTY_NAME=\"Debian\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(os_release_field(text, "ID"), Some("debian"));
        assert_eq!(os_release_field(text, "VERSION_ID"), Some("12"));
        assert_eq!(os_release_field(text, "VARIANT"), None);
    }

    #[test]
    fn no_group_names_a_package_twice() {
        for group in ALL {
            let packages = group.packages(Release::Newer);
            for (index, package) in packages.iter().enumerate() {
                assert!(!packages[..index].contains(package), "{group:?} {}", package.name);
            }
        }
    }
}
