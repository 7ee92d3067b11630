//! The Corten client: asks nodes through their API, and shows what they say.

mod cli;
mod comeback;
mod commands;
mod error;
mod output;
mod progress;
#[cfg(test)]
mod reference;
mod session;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // One thread: a command waits for the network, and starting threads would cost more than they bring.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return error::report(&error::CommandError::io("start", "the runtime", source)),
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        // Who closes the pipe has seen enough.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => error::report(&failure),
    }
}
