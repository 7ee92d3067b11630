//! `osctl completions`: for the shell.

use clap::CommandFactory as _;

use crate::{cli::Cli, error::CommandError, output};

/// Write shell completions to stdout.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "osctl", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}
