//! The Go tool: which one is used, how it builds, and what a program was built from.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::components::versions::{Component, Program};
use crate::progress;

/// The first Go that fetches the toolchain that a module asks for.
const OLDEST: (u32, u32) = (1, 21);

/// The Go tool that builds the components.
#[derive(Debug)]
pub(crate) struct Go {
    program: PathBuf,
    /// What a build of ours uses: `go1.26.8`.
    pub version: String,
    toolchain: &'static str,
}

impl Go {
    /// Finds a Go that can build modules which ask for `minimum`; `None` when there is none at all.
    pub(crate) fn find(minimum: &str) -> Result<Option<Self>> {
        let Some(program) = search() else { return Ok(None) };
        let local = go_version(&program, "local")?;
        if parse_version(&local)? < (OLDEST.0, OLDEST.1, 0) {
            return Ok(None);
        }
        if parse_version(&local)? >= parse_version(minimum)? {
            return Ok(Some(Self { program, version: local, toolchain: "local" }));
        }
        // An older Go fetches the toolchain that the go.mod names, checked like any module.
        let version = format!("go{minimum}");
        Ok(Some(Self { program, version, toolchain: "auto" }))
    }

    /// Builds one program of a component into `output`.
    pub(crate) fn build(
        &self,
        folder: &Path,
        component: &Component,
        program: &Program,
        output: &Path,
    ) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).args(["build", "-trimpath", "-tags", &component.build_tags(program)]);
        command.args(["-ldflags", &component.linker_flags()?, "-o"]).arg(output).arg(&program.package);
        for (name, value) in self.environment(component.cgo) {
            command.env(name, value);
        }
        progress::run(&format!("components/{}", component.name), &mut command)
    }

    /// What a build depends on beside its files; the user's own settings are no part of it.
    pub(crate) fn environment(&self, cgo: bool) -> Vec<(&'static str, &'static str)> {
        vec![
            ("GOTOOLCHAIN", self.toolchain),
            ("GOFLAGS", "-mod=readonly -buildvcs=false"),
            ("GOWORK", "off"),
            ("GOOS", "linux"),
            ("GOARCH", "amd64"),
            ("GOAMD64", "v1"),
            ("GOEXPERIMENT", ""),
            ("CGO_ENABLED", if cgo { "1" } else { "0" }),
            ("CGO_CFLAGS", "-O2"),
            ("CGO_LDFLAGS", ""),
        ]
    }
}

/// The Go modules that a program was built from, with their versions, Go's own library first.
pub(crate) fn go_modules(binary: &Path) -> Result<Vec<(String, String)>> {
    let mut command = Command::new(go_program()?);
    command.args(["version", "-m"]).arg(binary).env("GOTOOLCHAIN", "local");
    parse_modules(&progress::output(&mut command)?)
        .with_context(|| format!("read the modules of {}", binary.display()))
}

/// The go program of this machine.
pub(crate) fn go_program() -> Result<PathBuf> {
    search().context("no go program found")
}

/// The newest Go that one of the components asks for.
pub(crate) fn minimum(root: &Path, components: &[Component]) -> Result<String> {
    let mut newest = String::from("1.21.0");
    for component in components {
        let path = root.join("components").join(&component.name).join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let wanted = text.lines().find_map(|line| line.strip_prefix("go "));
        let wanted = wanted.with_context(|| format!("{} has no go line", path.display()))?.trim();
        if parse_version(wanted)? > parse_version(&newest)? {
            newest = wanted.to_owned();
        }
    }
    Ok(newest)
}

/// The go program: in PATH, where upstream's archive puts it, or where Debian does.
fn search() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("go-1."))
        .map(|entry| entry.path().join("bin"))
        .collect();
    debian.sort();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/local/go/bin")]);
    folders.chain(debian.into_iter().rev()).map(|folder| folder.join("go")).find(|program| program.is_file())
}

fn go_version(program: &Path, toolchain: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(["env", "GOVERSION"]).current_dir("/").env("GOTOOLCHAIN", toolchain);
    Ok(progress::output(&mut command)?.trim().to_owned())
}

/// The numbers of `go1.26.8`, `1.26` or `go1.27rc1 X:flag`.
fn parse_version(text: &str) -> Result<(u32, u32, u32)> {
    let mut parts = text.trim_start_matches("go").split('.').map(leading_number);
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => Ok((major, minor, parts.next().flatten().unwrap_or(0))),
        _ => bail!("{text:?} is not a Go version"),
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Reads what `go version -m` prints. A line `=>` names what was built in place of the line above.
fn parse_modules(text: &str) -> Result<Vec<(String, String)>> {
    let mut lines = text.lines();
    let go = lines.next().and_then(|line| line.rsplit_once(": ")).context("no version line")?.1;
    let go = go.split(' ').next().unwrap_or(go);
    let mut modules = vec![("std".to_owned(), go.to_owned())];
    for line in lines {
        let fields: Vec<&str> = line.trim().split('\t').collect();
        match fields[..] {
            ["dep", module, version, ..] => modules.push((module.to_owned(), version.to_owned())),
            ["=>", module, version, ..] => {
                modules.pop();
                modules.push((module.to_owned(), version.to_owned()));
            }
            _ => {}
        }
    }
    ensure!(modules.len() > 1, "it names no module");
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache;
    use crate::components::versions::Versions;

    #[test]
    fn versions_compare_by_number() {
        let cases = [
            ("go1.26.8", (1, 26, 8)),
            ("1.26", (1, 26, 0)),
            ("go1.27rc1", (1, 27, 0)),
            ("go1.26.8 X:nocoverageredesign", (1, 26, 8)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_version(text).unwrap(), expected, "{text}");
        }
        assert!(parse_version("devel").is_err());
    }

    #[test]
    fn modules_are_those_that_were_really_built() {
        let text = "/tmp/kube: go1.26.8\n\tpath\tours\n\tmod\tours\t(devel)\t\n\
                    \tdep\texample.com/a\tv1.2.3\th1:x=\n\
                    \tdep\tk8s.io/api\tv0.0.0\n\t=>\tk8s.io/api\tv0.36.3\th1:y=\n\
                    \tbuild\t-trimpath=true\n";
        let expected = [("std", "go1.26.8"), ("example.com/a", "v1.2.3"), ("k8s.io/api", "v0.36.3")];
        let expected: Vec<(String, String)> =
            expected.map(|(module, version)| (module.to_owned(), version.to_owned())).to_vec();
        assert_eq!(parse_modules(text).unwrap(), expected);
        assert!(parse_modules("/tmp/one: go1.26.8\n\tpath\tours\n").is_err());
    }

    #[test]
    fn the_minimum_is_the_newest_that_any_component_asks_for() {
        let root = cache::workspace_root();
        let components = Versions::load(&root).unwrap().components;
        let all = parse_version(&minimum(&root, &components).unwrap()).unwrap();
        for component in &components {
            let one = minimum(&root, std::slice::from_ref(component)).unwrap();
            assert!(parse_version(&one).unwrap() <= all, "{}", component.name);
        }
    }
}
