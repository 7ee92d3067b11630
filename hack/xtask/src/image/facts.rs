//! What the build writes about a release: when it was made, and what is in it.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache;
use crate::components::Components;
use crate::progress;

const DAY: u64 = 24 * 60 * 60;

/// Component → version, as JSON; machined's `versions` reads it.
pub(crate) fn component_versions(components: &Components) -> Vec<u8> {
    let versions: BTreeMap<&str, &str> = components
        .programs
        .iter()
        .map(|program| (program.component.as_str(), program.version.as_str()))
        .collect();
    serde_json::json!(versions).to_string().into_bytes()
}

/// The time that files carry and before which a node's clock is never set: the day of the commit, so
/// that commits of one day share what does not differ otherwise.
pub(crate) fn epoch() -> Result<u64> {
    let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut git = Command::new("git");
            git.current_dir(cache::workspace_root()).args(["log", "-1", "--format=%ct"]);
            progress::output(&mut git).context("without git history, set SOURCE_DATE_EPOCH")?
        }
    };
    let seconds: u64 = seconds.trim().parse().context("SOURCE_DATE_EPOCH is not a number of seconds")?;
    Ok(seconds - seconds % DAY)
}
