//! Developer tasks: `cargo xtask <task>`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks on the terminal")]

mod bench;
mod cache;
mod ci;
mod components;
mod demo;
mod docs;
mod image;
mod kernel;
mod packages;
mod progress;
mod sbom;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer tasks of Corten. Each installs the Debian packages that it lacks, and says what it skips.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = false)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build everything, and end with a Ready node and a running pod in QEMU
    Demo,
    /// Run every test: units, namespaces, and the shipped image in QEMU
    Test(test::Args),
    /// Build the upstream programs: Kubernetes, containerd, runc, etcd, CNI plugins, CoreDNS, flannel
    Components,
    /// Build the root image, the disk image, the ISO and the update bundle
    Image(image::Args),
    /// Measure boot, install, upgrades, sizes, memory, RPC and store; write docs/specification.md
    Bench(bench::Args),
    /// Run what CI runs: format, lints, tidy, generated files, then every test
    Ci(ci::Args),
    /// Check what no compiler checks: file heads and lengths, paths, lints, versions
    Tidy,
    /// Regenerate the reference pages of config, CLI and API
    Docs(docs::Args),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Demo => demo::run(),
        Task::Test(args) => test::run(&args),
        Task::Components => components::run(),
        Task::Image(args) => image::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Ci(args) => ci::run(&args),
        Task::Tidy => tidy::run(),
        Task::Docs(args) => docs::run(&args),
    }
}
