//! `cargo xtask docs`: the reference pages, made from the sources that they describe.
//!
//! Each page is held by a test of the crate that knows its contents, which writes it when `UPDATE` is set; the page of
//! figures is made here, from what `cargo xtask bench` measured.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::bench;
use crate::cache;
use crate::progress;

/// Options of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing: fail when a page differs from its source
    #[arg(long)]
    pub(crate) check: bool,
}

/// What is generated, and the arguments of `cargo test` that check or write it.
const PAGES: &[(&str, &[&str])] = &[
    ("docs/reference/config.md, config.schema.json", &["--package", "corten-config", "--test", "reference"]),
    ("docs/reference/api.md", &["--package", "corten-api", "--test", "reference"]),
    ("docs/reference/cli.md", &["--package", "osctl", "--bins", "reference"]),
];
const SPECIFICATION: &str = "docs/specification.md";

/// Writes or checks every generated page.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut stale = Vec::new();
    for (pages, arguments) in PAGES {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(cache::workspace_root()).args(["test", "--quiet"]).args(*arguments);
        match args.check {
            true => cargo.env_remove("UPDATE"),
            false => cargo.env("UPDATE", "1"),
        };
        if progress::run("docs", &mut cargo).is_err() {
            stale.push(*pages);
        }
    }
    if !specification(args.check)? {
        stale.push(SPECIFICATION);
    }
    if !stale.is_empty() {
        bail!("not what its source says: {}; `cargo xtask docs` writes it", stale.join("; "));
    }
    progress::note("docs", "every generated page is fresh");
    Ok(())
}

/// Whether the page of figures is fresh in the end. Before the first measurement there is none.
fn specification(check: bool) -> Result<bool> {
    let Some(page) = bench::page()? else { return Ok(true) };
    let path = cache::workspace_root().join(SPECIFICATION);
    if !check {
        fs::write(&path, &page).with_context(|| format!("write {SPECIFICATION}"))?;
    }
    Ok(fs::read_to_string(&path).is_ok_and(|committed| committed == page))
}
