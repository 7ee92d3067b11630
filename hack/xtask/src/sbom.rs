//! The bill of materials: every crate, Go module and Debian package that is in an image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use corten_constants::VERSION;
use corten_image::licence;
use corten_image::manifest::Manifest;
use corten_image::sbom::{self, NO_ASSERTION, Origin, Package};
use serde_json::Value;

use crate::cache::{self, Inputs};
use crate::components::{self, Components, Place};
use crate::image::debian::Unpacked;
use crate::kernel::Kernel;
use crate::{packages, progress};

/// Programs of the workspace that are in the image.
const ROOTS: &[&str] = &["machined", "corten-pause"];
const LINUX: &str = "x86_64-unknown-linux-gnu";
/// Its programs are in the image as they are: stub and boot loader.
const EFI_PACKAGES: &[&str] = &["systemd-boot-efi", "ca-certificates"];

/// Licences of packages whose copyright file no machine can read, or names a mixture: as a person read it.
const READ_BY_HAND: &[(&str, &str)] = &[
    ("ca-certificates", "MPL-2.0"), // the certificates, which is all that is used
    ("libbsd0", "BSD-3-Clause AND BSD-2-Clause AND ISC AND MIT"),
    ("libc6", "LGPL-2.1-or-later"),
    ("libedit2", "BSD-3-Clause"),
    ("libgnutls30", "LGPL-2.1-or-later"),
    ("libmd0", "BSD-3-Clause AND BSD-2-Clause AND ISC"),
    ("libpcre2-8-0", "BSD-3-Clause"),
    ("libselinux1", "libselinux-1.0"),
    ("libtasn1-6", "LGPL-2.1-or-later"),
    ("libtinfo6", "X11"),
];

/// Packages of the machine that builds, whose code is linked into programs, with their licences.
const LINKED: &[(&str, &str)] =
    &[(packages::C_LIBRARY, "LGPL-2.1-or-later"), (packages::SECCOMP_LIBRARY, "LGPL-2.1-only")];

/// Writes the document, unless it is there already.
pub(crate) fn build(
    components: &Components,
    manifest: &Manifest,
    debian: &BTreeMap<String, Unpacked>,
    kernel: &Kernel,
    epoch: u64,
) -> Result<PathBuf> {
    let mut packages = crates()?;
    packages.extend(go(components)?);
    let names = manifest.packages().into_iter().chain(EFI_PACKAGES.iter().copied());
    for name in names {
        let package = debian.get(name).with_context(|| format!("package {name} was not fetched"))?;
        packages.insert(debian_package(name, package));
    }
    packages.insert(debian_package(&format!("linux-image-{}", kernel.release), &kernel.package));
    for (name, licence) in LINKED {
        let version = packages::version(name)?;
        let (name, licence) = ((*name).to_owned(), (*licence).to_owned());
        packages.insert(Package { origin: Origin::Debian, name, version, licence, checksum: None });
    }
    let created =
        jiff::Timestamp::from_second(i64::try_from(epoch)?)?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let text = sbom::document(VERSION, &created, &packages);
    let count = |origin| packages.iter().filter(|package| package.origin == origin).count();
    let summary = format!(
        "{} crates, {} Go modules, {} Debian packages",
        count(Origin::Cargo),
        count(Origin::Golang),
        count(Origin::Debian)
    );
    progress::note("image/sbom", &summary);
    let name = "sbom.spdx.json";
    let result = cache::build("image/sbom", &Inputs::new().value("text", &text), &[name], |result| {
        Ok(fs::write(result.join(name), &text)?)
    })?;
    Ok(result.join(name))
}

/// The crates that the programs are linked from, as cargo resolves them.
fn crates() -> Result<BTreeSet<Package>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(cache::workspace_root());
    cargo.args(["metadata", "--locked", "--format-version=1", "--filter-platform", LINUX]);
    let metadata: Value =
        serde_json::from_str(&progress::output(&mut cargo)?).context("parse cargo metadata")?;
    linked_crates(&metadata, ROOTS).context("cargo metadata is not as expected")
}

/// Walks from the roots along normal dependencies: what only builds or tests is not in the image.
fn linked_crates(metadata: &Value, roots: &[&str]) -> Option<BTreeSet<Package>> {
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()?
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let is_root = |package: &Value| package["name"].as_str().is_some_and(|name| roots.contains(&name));
    let mut left: Vec<&str> =
        packages.iter().filter(|(_, package)| is_root(package)).map(|(id, _)| *id).collect();
    if left.len() != roots.len() {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut found = BTreeSet::new();
    while let Some(id) = left.pop() {
        if !seen.insert(id) {
            continue;
        }
        let package = packages.get(id)?;
        let text = |field: &str| package[field].as_str().map(str::to_owned);
        found.insert(Package {
            origin: Origin::Cargo,
            name: text("name")?,
            version: text("version")?,
            licence: text("license").map_or_else(|| NO_ASSERTION.to_owned(), |name| modern(&name)),
            checksum: None,
        });
        for dependency in nodes.get(id)?["deps"].as_array()? {
            let kinds = dependency["dep_kinds"].as_array()?;
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                left.push(dependency["pkg"].as_str()?);
            }
        }
    }
    Some(found)
}

/// Old manifests separate alternatives with a slash.
fn modern(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// The upstream programs in the image and their Go modules, with the licences in their sources.
fn go(components: &Components) -> Result<BTreeSet<Package>> {
    let mut modules = BTreeSet::new();
    let mut packages = BTreeSet::new();
    for program in components.at(Place::Node).chain(components.at(Place::Container)) {
        modules.extend(components::go_modules(&program.path)?);
        packages.insert(Package {
            origin: Origin::Upstream,
            name: program.component.clone(),
            version: program.version.clone(),
            licence: program.licence.clone(),
            checksum: None,
        });
    }
    // A program of ours has no version that a module could be fetched by.
    modules.retain(|(_, version)| version != "(devel)" && !version.is_empty());
    let licences = licences(&modules)?;
    packages.extend(modules.into_iter().map(|(name, version)| {
        let licence = match name.as_str() {
            "std" | "stdlib" => "BSD-3-Clause".to_owned(), // Go itself
            name => licences.get(name).cloned().unwrap_or_else(|| NO_ASSERTION.to_owned()),
        };
        Package { origin: Origin::Golang, name, version, licence, checksum: None }
    }));
    Ok(packages)
}

/// Licence by module. Kept, because looking needs the sources, which a warm cache does not.
fn licences(modules: &BTreeSet<(String, String)>) -> Result<BTreeMap<String, String>> {
    let list: String = modules.iter().map(|(name, version)| format!("{name}@{version}\n")).collect();
    let inputs = Inputs::new().value("version", "3").value("modules", &list);
    let result = cache::build("image/licences", &inputs, &["licences.json"], |result| {
        let mut found = BTreeMap::new();
        for (name, folder) in sources(modules)? {
            if let Some(licence) = find_licence(&folder)? {
                found.insert(name, licence);
            }
        }
        Ok(fs::write(result.join("licences.json"), serde_json::to_vec_pretty(&found)?)?)
    })?;
    Ok(serde_json::from_slice(&fs::read(result.join("licences.json"))?)?)
}

/// Where Go keeps the sources of modules; fetches those that are not there any more.
fn sources(modules: &BTreeSet<(String, String)>) -> Result<Vec<(String, PathBuf)>> {
    let named = modules.iter().filter(|(name, _)| name.contains('.') && name.contains('/'));
    let arguments = named.map(|(name, version)| format!("{name}@{version}"));
    let empty = tempfile::tempdir()?; // outside of any module
    let mut go = Command::new(components::go_program()?);
    go.current_dir(empty.path()).args(["mod", "download", "-json"]).args(arguments);
    go.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod").env("GOWORK", "off");
    let text = progress::output(&mut go)?;
    let stream = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let mut folders = Vec::new();
    for module in stream {
        let module = module.context("parse the output of go mod download")?;
        let field =
            |name: &str| module[name].as_str().with_context(|| format!("go mod download gave no {name}"));
        folders.push((field("Path")?.to_owned(), PathBuf::from(field("Dir")?)));
    }
    Ok(folders)
}

fn find_licence(folder: &Path) -> Result<Option<String>> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    let is_licence = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        ["LICENSE", "LICENCE", "COPYING"].iter().any(|start| name.starts_with(start)) && path.is_file()
    };
    for path in names.iter().filter(is_licence) {
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        if let Some(name) = licence::classify(&text) {
            return Ok(Some(spdx(name).to_owned()));
        }
    }
    Ok(None)
}

/// The text of a GNU licence does not tell whether a later version may be used: the narrower one.
fn spdx(name: &str) -> &str {
    match name {
        "GPL-2.0" => "GPL-2.0-only",
        "GPL-3.0" => "GPL-3.0-only",
        "LGPL-2.1" => "LGPL-2.1-only",
        "LGPL-3.0" => "LGPL-3.0-only",
        "AGPL-3.0" => "AGPL-3.0-only",
        name => name,
    }
}

fn debian_package(name: &str, package: &Unpacked) -> Package {
    let copyright = package.root.join("usr/share/doc").join(name).join("copyright");
    let by_hand =
        READ_BY_HAND.iter().find(|(known, _)| *known == name).map(|(_, licence)| (*licence).to_owned());
    let read = || fs::read_to_string(copyright).ok().and_then(|text| licence::of_debian(&text));
    let licence = by_hand.or_else(read);
    Package {
        origin: Origin::Debian,
        name: name.to_owned(),
        version: package.version.clone(),
        licence: licence.unwrap_or_else(|| NO_ASSERTION.to_owned()),
        checksum: Some(package.sha256.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_linked_is_listed() {
        let package =
            |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
        let dependency =
            |name: &str, kind: Option<&str>| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let packages = ["machined", "a", "b", "build", "test", "other"].map(package);
        let metadata = json!({
            "packages": packages,
            "resolve": { "nodes": [
                { "id": "machined", "deps": [dependency("a", None), dependency("build", Some("build"))] },
                { "id": "a", "deps": [dependency("b", None), dependency("test", Some("dev"))] },
                { "id": "b", "deps": [] },
                { "id": "build", "deps": [] },
            ]},
        });
        let found = linked_crates(&metadata, &["machined"]).unwrap();
        let names: Vec<_> = found.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "machined"]);
        assert!(found.iter().all(|package| package.licence == "MIT OR Apache-2.0"));
        assert!(linked_crates(&metadata, &["missing"]).is_none());
    }

    #[test]
    fn a_module_s_licence_is_read_from_its_sources() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find_licence(folder.path()).unwrap(), None);
        fs::write(folder.path().join("README"), "Apache License Version 2.0").unwrap();
        assert_eq!(find_licence(folder.path()).unwrap(), None);
        fs::write(folder.path().join("LICENSE.txt"), "Apache License\nVersion 2.0").unwrap();
        assert_eq!(find_licence(folder.path()).unwrap().as_deref(), Some("Apache-2.0"));
    }
}
