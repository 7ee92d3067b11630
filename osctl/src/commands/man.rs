//! `osctl man`: manual pages.

use std::{fs, path::PathBuf};

use clap::CommandFactory as _;

use crate::{cli::Cli, error::CommandError, output};

/// Write man pages: one for each command into a folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for the pages; it is made when missing
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), CommandError> {
    let failed = |doing| move |source| CommandError::io(doing, args.folder.display().to_string(), source);
    fs::create_dir_all(&args.folder).map_err(failed("make the folder"))?;
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(failed("write man pages to"))?;
    output::say(&format!("try: man -l {}", args.folder.join("osctl.1").display()));
    Ok(())
}
