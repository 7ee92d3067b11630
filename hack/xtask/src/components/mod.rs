//! Builds the upstream programs: Kubernetes, containerd, runc, etcd, CNI plugins, CoreDNS, flannel.
//!
//! `components/versions.toml` says what; each component is one entry of the build cache. Results are
//! placed in `_out/components/<component>/`, and the operator's programs in `_out/bin/`.

mod go;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use self::go::Go;
pub(crate) use self::go::{go_modules, go_program};
pub(crate) use self::versions::Place;
use self::versions::{Component, Versions};
use crate::cache::{self, Inputs};
use crate::packages::{self, Group};
use crate::progress;

/// The programs that were built.
#[derive(Debug)]
pub(crate) struct Components {
    /// In the order of `versions.toml`.
    pub programs: Vec<BuiltProgram>,
}

/// One program that was built.
#[derive(Debug)]
pub(crate) struct BuiltProgram {
    /// Its file name: `kube`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its component: `kubernetes`.
    pub component: String,
    /// The component's version: `v1.36.3`.
    pub version: String,
    /// SPDX licence expression of the component.
    pub licence: String,
    /// Where it goes.
    pub place: Place,
    /// Other names that it is started under: `kubelet`, ...
    pub links: Vec<String>,
}

impl Components {
    /// The program of this name.
    pub(crate) fn program(&self, name: &str) -> Result<&BuiltProgram> {
        let found = self.programs.iter().find(|program| program.name == name);
        found.with_context(|| format!("components/versions.toml names no program {name}"))
    }

    /// The programs that go to a place.
    pub(crate) fn at(&self, place: Place) -> impl Iterator<Item = &BuiltProgram> {
        self.programs.iter().filter(move |program| program.place == place)
    }
}

/// `cargo xtask components`.
pub(crate) fn run() -> Result<()> {
    let components = build_all()?;
    for program in &components.programs {
        let size = fs::metadata(&program.path)?.len();
        let version = format!("{} {}", program.component, program.version);
        let modules = go_modules(&program.path)?.len();
        println!("  {:24} {version:22} {:6.1} MB {modules:4} modules", program.name, megabytes(size));
    }
    Ok(())
}

/// Builds what is not in the cache, and places all of it.
pub(crate) fn build_all() -> Result<Components> {
    progress::header("Upstream components");
    packages::ensure(Group::Build)?;
    let root = cache::workspace_root();
    let versions = Versions::load(&root)?;
    let go = find_go(&go::minimum(&root, &versions.components)?)?;

    let mut programs = Vec::new();
    for component in versions.components {
        let result = build(&go, &root, &component)?;
        programs.extend(place(component, &result)?);
    }
    Ok(Components { programs })
}

fn find_go(minimum: &str) -> Result<Go> {
    if let Some(go) = Go::find(minimum)? {
        return Ok(go);
    }
    packages::ensure(Group::Go)?;
    Go::find(minimum)?.with_context(|| {
        format!("no usable Go: install Go {minimum} or newer from https://go.dev/dl/ into /usr/local/go")
    })
}

fn build(go: &Go, root: &Path, component: &Component) -> Result<PathBuf> {
    let folder = root.join("components").join(&component.name);
    let outputs: Vec<&str> = component.programs.iter().map(|program| program.name.as_str()).collect();
    let inputs = inputs(go, &folder, component)?;
    cache::build(&format!("components/{}", component.name), &inputs, &outputs, |result| {
        let mut programs = component.programs.iter();
        programs.try_for_each(|program| go.build(&folder, component, program, &result.join(&program.name)))
    })
}

fn inputs(go: &Go, folder: &Path, component: &Component) -> Result<Inputs> {
    // Everything that versions.toml says about it, in one canonical form.
    let description = serde_json::to_vec(component)?;
    let mut inputs =
        Inputs::new().value("description", description).value("go", &go.version).folder("source", folder)?;
    for (name, value) in go.environment(component.cgo) {
        // Which of the two ways Go came from does not matter, only its version.
        if name != "GOTOOLCHAIN" {
            inputs = inputs.value(name, value);
        }
    }
    if component.cgo {
        let compiler = progress::output(Command::new("gcc").arg("-dumpfullversion"))?;
        inputs = inputs.value("gcc", compiler);
        for library in [packages::C_LIBRARY, packages::SECCOMP_LIBRARY] {
            inputs = inputs.value(library, packages::version(library)?);
        }
    }
    Ok(inputs)
}

fn place(component: Component, result: &Path) -> Result<Vec<BuiltProgram>> {
    let out = cache::out_dir();
    let Component { name: component, version, licence, programs, .. } = component;
    let built = programs.into_iter().map(|program| {
        let folder = match program.place {
            Place::Operator => out.join("bin"),
            Place::Node | Place::Container => out.join("components").join(&component),
        };
        let path = folder.join(&program.name);
        cache::place(&result.join(&program.name), &path)?;
        Ok(BuiltProgram {
            name: program.name,
            path,
            component: component.clone(),
            version: version.clone(),
            licence: licence.clone(),
            place: program.place,
            links: program.links,
        })
    });
    built.collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inputs_of_a_component_change_with_its_version_and_its_go() {
        let root = cache::workspace_root();
        let mut versions = Versions::load(&root).unwrap();
        let component = versions.components.iter_mut().find(|component| component.name == "etcd").unwrap();
        let folder = root.join("components/etcd");
        let Some(mut go) = Go::find("1.21.0").unwrap() else { return };
        let key = |go: &Go, component: &Component| inputs(go, &folder, component).unwrap().key();

        let first = key(&go, component);
        assert_eq!(first, key(&go, component));
        component.ldflags.push("-X a.b=c".to_owned());
        let flags = key(&go, component);
        assert_ne!(first, flags);
        component.version = "v9.9.9".to_owned();
        let version = key(&go, component);
        assert_ne!(flags, version);
        go.version = "go9.9".to_owned();
        assert_ne!(version, key(&go, component));
    }
}
