//! Developer tasks: `cargo xtask <task>`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks on the terminal")]

mod cache;
mod components;
mod packages;
mod progress;

fn main() -> anyhow::Result<()> {
    components::run()
}
