//! `cargo xtask ci`: what CI runs, cheapest first.

use std::process::Command;

use anyhow::{Result, bail};

use crate::cache;
use crate::docs;
use crate::progress::{self, Step};
use crate::tidy;

/// Options of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the tests out: only format, lints, tidy and generated files
    #[arg(long)]
    quick: bool,
}

/// A check by name.
type Check = (&'static str, fn() -> Result<()>);

const CHECKS: &[Check] = &[
    ("format", || cargo("format", &["fmt", "--all", "--check"])),
    ("tidy", tidy::run),
    ("lints", || {
        cargo("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    }),
    ("docs", || docs::run(&docs::Args { check: true })),
];

/// Runs every check, so that one run shows everything that is wrong; the tests only when all is well so far.
pub(crate) fn run(args: &Args) -> Result<()> {
    progress::header("Checks");
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        let step = Step::start(name, "checking");
        match check() {
            Ok(()) => step.done("in order"),
            Err(error) => {
                progress::note(name, &format!("{error:#}"));
                failed.push(*name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("these checks failed: {}", failed.join(", "));
    }
    if args.quick { Ok(()) } else { cargo("tests", &["xtask", "test"]) }
}

fn cargo(step: &str, arguments: &[&str]) -> Result<()> {
    progress::run(step, Command::new("cargo").current_dir(cache::workspace_root()).args(arguments))
}
