//! Debian packages whose files go into the image: fetched and unpacked, never installed.
//!
//! The mirror keeps only current versions, so a build that insisted on one would break when Debian
//! mends something. A lock file says what the last release was made with; a build that uses another
//! version says so, and the bill of materials has the versions that were really used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::cache::{self, Inputs};
use crate::progress;

/// Set to rewrite the lock files with what a build used.
const UPDATE_LOCKS: &str = "CORTEN_UPDATE_LOCKS";

/// A package that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    name: &'a str,
    /// Whether bookworm's own is too old.
    recent: bool,
}

/// A package from the main suite.
pub(crate) fn stable(name: &str) -> Wanted<'_> {
    Wanted { name, recent: false }
}

/// A package that on Debian 12 comes from backports.
pub(crate) fn recent(name: &str) -> Wanted<'_> {
    Wanted { name, recent: true }
}

/// A package, unpacked.
#[derive(Debug, Clone)]
pub(crate) struct Unpacked {
    /// Its version.
    pub version: String,
    /// The hash of its file.
    pub sha256: String,
    /// Its files; stands for `/`.
    pub root: PathBuf,
}

/// What apt would download.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    name: String,
    version: String,
    sha256: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Lock {
    #[serde(default, rename = "package")]
    packages: Vec<Locked>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Locked {
    name: String,
    version: String,
    sha256: String,
}

/// Fetches packages and compares them with a lock file. `step` names them in the build's output.
pub(crate) fn fetch(step: &str, wanted: &[Wanted<'_>], lock: &Path) -> Result<BTreeMap<String, Unpacked>> {
    let mut offers = Vec::new();
    for recent in [false, true] {
        let names: Vec<&str> =
            wanted.iter().filter(|package| package.recent == recent).map(|package| package.name).collect();
        if !names.is_empty() {
            offers.extend(ask(&names, recent)?);
        }
    }
    offers.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(package) = wanted.iter().find(|wanted| !offers.iter().any(|offer| offer.name == wanted.name))
    {
        bail!("apt offers no package {}", package.name);
    }
    compare(&offers, lock)?;
    let inputs = offers
        .iter()
        .fold(Inputs::new().value("version", "1"), |inputs, offer| inputs.value(&offer.name, &offer.sha256));
    let names: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
    let folder = cache::build(step, &inputs, &names, |result| {
        offers.iter().try_for_each(|offer| {
            let recent = wanted.iter().any(|package| package.name == offer.name && package.recent);
            unpack(offer, recent, result)
        })
    })?;
    let unpacked = offers.into_iter().map(|offer| {
        let root = folder.join(&offer.name);
        (offer.name, Unpacked { version: offer.version, sha256: offer.sha256, root })
    });
    Ok(unpacked.collect())
}

/// The package that `package` depends on and whose name starts with `prefix`.
pub(crate) fn dependency(package: &str, prefix: &str) -> Result<String> {
    let mut command = Command::new("apt-cache");
    if let Some(suite) = suite(true)? {
        command.arg(format!("--target-release={suite}"));
    }
    let text = progress::output(command.args(["--no-all-versions", "show", package]))?;
    let depends = text.lines().find_map(|line| line.strip_prefix("Depends: "));
    let names =
        depends.into_iter().flat_map(|line| line.split(',')).filter_map(|one| one.split_whitespace().next());
    let found = names.into_iter().find(|name| name.starts_with(prefix));
    Ok(found.with_context(|| format!("{package} depends on no {prefix}…"))?.to_owned())
}

/// What to name as apt's target release; on newer Debian the main suite has it all.
fn suite(recent: bool) -> Result<Option<&'static str>> {
    let text = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let bookworm = text.lines().any(|line| line == "VERSION_CODENAME=bookworm");
    Ok((recent && bookworm).then_some("bookworm-backports"))
}

fn apt_get(recent: bool) -> Result<Command> {
    let mut command = Command::new("apt-get");
    // As root, apt would download as a user that may not write into our folder.
    command.args(["--quiet=2", "--option=APT::Sandbox::User=root"]);
    if let Some(suite) = suite(recent)? {
        command.arg(format!("--target-release={suite}"));
    }
    Ok(command)
}

fn ask(names: &[&str], recent: bool) -> Result<Vec<Offer>> {
    let uris = || {
        let text = progress::output(apt_get(recent)?.args(["download", "--print-uris"]).args(names))?;
        text.lines().map(parse_uri).collect::<Result<Vec<Offer>>>()
    };
    match uris() {
        Ok(offers) if offers.len() == names.len() => Ok(offers),
        // A new machine has no lists, and an old one those of yesterday.
        _ => {
            progress::run("debian", Command::new("apt-get").args(["--quiet=2", "update"]))
                .context("refresh the lists of packages: run `apt-get update` as root")?;
            uris()
        }
    }
}

/// `'http://…/x.deb' name_version_arch.deb size SHA256:hash`.
fn parse_uri(line: &str) -> Result<Offer> {
    let unexpected = || format!("apt-get said something unexpected: {line}");
    let mut words = line.split_whitespace().skip(1);
    let (file, hash) = (words.next().with_context(unexpected)?, words.nth(1).with_context(unexpected)?);
    let mut parts = file.split('_');
    let (name, version) = (parts.next().with_context(unexpected)?, parts.next().with_context(unexpected)?);
    let sha256 = hash.strip_prefix("SHA256:").with_context(unexpected)?;
    // A colon, which separates the epoch, is written as %3a in a file's name.
    Ok(Offer { name: name.to_owned(), version: version.replace("%3a", ":"), sha256: sha256.to_owned() })
}

/// Downloads a package and unpacks it into a folder of its name.
fn unpack(offer: &Offer, recent: bool, result: &Path) -> Result<()> {
    let download = tempfile::tempdir_in(result)?;
    let mut command = apt_get(recent)?;
    command.args(["download", &format!("{}={}", offer.name, offer.version)]).current_dir(download.path());
    progress::run("debian", &mut command)?;
    let mut files = fs::read_dir(download.path())?;
    let deb = files.next().with_context(|| format!("apt-get downloaded no {}", offer.name))??.path();
    let sum = progress::output(Command::new("sha256sum").arg(&deb))?;
    ensure!(sum.starts_with(&offer.sha256), "the downloaded {} is not the one that apt offered", offer.name);
    progress::run("debian", Command::new("dpkg-deb").arg("-x").arg(&deb).arg(result.join(&offer.name)))
}

fn compare(offers: &[Offer], path: &Path) -> Result<()> {
    let now = Lock {
        packages: offers
            .iter()
            .map(|Offer { name, version, sha256 }| Locked {
                name: name.clone(),
                version: version.clone(),
                sha256: sha256.clone(),
            })
            .collect(),
    };
    if std::env::var_os(UPDATE_LOCKS).is_some() {
        let text = toml::to_string(&now)?;
        let header =
            "# What the image was last made with. Written by `CORTEN_UPDATE_LOCKS=1 cargo xtask image`.\n\n";
        return fs::write(path, format!("{header}{text}"))
            .with_context(|| format!("write {}", path.display()));
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let locked: Lock = toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
    for line in moved(&locked.packages, &now.packages) {
        progress::note("debian", &format!("{line}; recorded in the bill of materials"));
    }
    Ok(())
}

/// One line for each package that is not as locked.
fn moved(locked: &[Locked], now: &[Locked]) -> Vec<String> {
    let before = |name: &str| locked.iter().find(|package| package.name == name);
    now.iter()
        .filter_map(|package| match before(&package.name) {
            Some(before) if before == package => None,
            Some(before) => {
                Some(format!("{} moved from {} to {}", package.name, before.version, package.version))
            }
            None => Some(format!("{} {} is not locked", package.name, package.version)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_from_what_apt_prints() {
        let line = "'http://deb.debian.org/debian/pool/main/c/x_1%3a2.0%2bb1_amd64.deb' x_1%3a2.0+b1_amd64.deb 70292 SHA256:abc";
        let expected =
            Offer { name: "x".to_owned(), version: "1:2.0+b1".to_owned(), sha256: "abc".to_owned() };
        assert_eq!(parse_uri(line).unwrap(), expected);
        assert!(parse_uri("E: nothing").is_err());
        assert!(parse_uri("'http://x' x_1_amd64.deb 5 MD5Sum:abc").is_err());
    }

    #[test]
    fn what_moved_since_the_lock_is_told() {
        let package = |name: &str, version: &str| Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            sha256: version.to_owned(),
        };
        let locked = [package("a", "1"), package("b", "1"), package("gone", "1")];
        let now = [package("a", "1"), package("b", "2"), package("c", "3")];
        assert_eq!(moved(&locked, &now), ["b moved from 1 to 2", "c 3 is not locked"]);
    }
}
