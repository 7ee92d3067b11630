//! The workspace's own programs, compiled for a node and for the operator.
//!
//! They are static, so that the root needs no libraries for them, and hold no path of this machine.
//! `CORTEN_PROFILE=image-dev` compiles faster and larger, for work on the image itself.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache::{self, Inputs};
use crate::{packages, progress};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Packages and the programs that they make.
const PROGRAMS: &[(&str, &str)] = &[
    ("machined", "machined"),
    ("osctl", "osctl"),
    ("corten-pause", "pause"),
    ("corten-workload", "corten-workload"),
];
/// The feature of machined with which it fails on request.
const FAULTS: &str = "machined/faults";
/// A release without what makes it slow to compile.
const DEV_PROFILE: &[&str] =
    &["inherits=\"release\"", "opt-level=1", "lto=false", "incremental=true", "codegen-units=16"];

/// The folder with the compiled programs.
#[derive(Debug)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// The file of a program.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// What the programs are made of, besides the crates in Cargo.lock.
const SOURCES: &[&str] = &["crates", "installer", "machined", "osctl", "components/pause", "tests/workload"];
/// Files that decide how they are compiled.
const SETTINGS: &[&str] = &["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml"];

/// Compiles what changed; programs of the same sources are taken from the cache.
pub(crate) fn build() -> Result<Programs> {
    let profile = profile();
    let names: Vec<&str> = PROGRAMS.iter().map(|(_, program)| *program).collect();
    let folder = cache::build("image/programs", &inputs(&profile)?, &names, |result| {
        let compiled = compile(&profile, &[])?;
        for name in &names {
            fs::copy(compiled.join(name), result.join(name)).with_context(|| format!("keep {name}"))?;
        }
        Ok(())
    })?;
    for name in ["machined", "osctl"] {
        cache::place(&folder.join(name), &cache::out_dir().join("bin").join(name))?;
    }
    Ok(Programs(folder))
}

fn inputs(profile: &str) -> Result<Inputs> {
    let root = cache::workspace_root();
    let compiler = progress::output(Command::new("rustc").current_dir(&root).arg("--version"))?;
    let flags =
        flags(Path::new("/corten"), Path::new("/cargo"), &packages::version(packages::C_LIBRARY)?).join(" ");
    let mut inputs =
        Inputs::new().value("profile", profile).value("compiler", compiler).value("flags", flags);
    for folder in SOURCES {
        inputs = inputs.folder(folder, &root.join(folder))?;
    }
    for file in SETTINGS {
        inputs = inputs.file(file, &root.join(file))?;
    }
    Ok(inputs)
}

/// machined with what makes it fail on request, which nothing that ships has.
pub(crate) fn with_faults() -> Result<PathBuf> {
    let profile = profile();
    let inputs = inputs(&profile)?.value("features", FAULTS);
    let folder = cache::build("image/faults", &inputs, &["machined"], |result| {
        let compiled = compile(&profile, &["--features", FAULTS])?;
        fs::copy(compiled.join("machined"), result.join("machined")).context("keep machined with faults")?;
        Ok(())
    })?;
    Ok(folder.join("machined"))
}

fn profile() -> String {
    env::var("CORTEN_PROFILE").unwrap_or_else(|_| "release".to_owned())
}

/// The folder with what cargo made. Always of all programs together: cargo compiles a crate with the features that those ask
/// for which are built with it, so that for another set it would compile most crates anew.
fn compile(profile: &str, more: &[&str]) -> Result<PathBuf> {
    // A folder of its own: other flags than the ones of a plain `cargo build`, and another lock.
    let target = cache::out_dir().join("target");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(cache::workspace_root()).args(["build", "--locked", "--target", TARGET]);
    command.args(["--profile", profile]).arg("--target-dir").arg(&target);
    if profile == "image-dev" {
        for setting in DEV_PROFILE {
            command.arg("--config").arg(format!("profile.image-dev.{setting}"));
        }
    }
    for (package, _) in PROGRAMS {
        command.args(["--package", package]);
    }
    command.args(more);
    let flags = flags(&cache::workspace_root(), &cargo_home()?, &packages::version(packages::C_LIBRARY)?);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    // C code in crates, for what the compiler writes about where a file was.
    command.env("CFLAGS", format!("-ffile-prefix-map={}=/cargo", cargo_home()?.display()));
    progress::run("programs", &mut command)?;
    Ok(target.join(TARGET).join(profile))
}

fn flags(root: &Path, cargo_home: &Path, c_library: &str) -> Vec<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        remap(cargo_home, "/cargo"),
        remap(root, "/corten"),
        // Cargo does not see that the library it links is another one.
        format!("--cfg=corten_c_library={c_library:?}"),
    ]
}

fn cargo_home() -> Result<PathBuf> {
    let set = env::var_os("CARGO_HOME").map(PathBuf::from);
    let default = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    set.or_else(default).context("neither CARGO_HOME nor HOME is set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_of_the_machine_gets_into_a_program() {
        let flags = flags(Path::new("/home/me/corten"), Path::new("/home/me/.cargo"), "2.36");
        assert!(flags.contains(&"--remap-path-prefix=/home/me/corten=/corten".to_owned()));
        assert!(flags.contains(&"--remap-path-prefix=/home/me/.cargo=/cargo".to_owned()));
        assert!(flags.contains(&"-Ctarget-feature=+crt-static".to_owned()));
    }
}
