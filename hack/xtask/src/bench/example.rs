//! Programs of the benchmark that must be release builds: examples of the crates that they measure.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache;
use crate::progress;

/// Compiles an example, and says where it is.
pub(super) fn build(package: &str, name: &str) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(cache::workspace_root());
    cargo.args(["build", "--quiet", "--release", "--package", package, "--example", name]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let messages = progress::output(&mut cargo)?;
    executable(&messages).with_context(|| format!("cargo did not say where the example {name} is"))
}

fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    messages.filter_map(|message| Some(message.get("executable")?.as_str()?.into())).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_last_thing_that_cargo_made() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/t/examples/load\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages), Some("/t/examples/load".into()));
        assert_eq!(executable("warning: x\n"), None);
    }
}
