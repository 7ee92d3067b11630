//! Where the lab keeps what it makes.

use camino::Utf8PathBuf;
use std::env;

/// Clusters and their disks: `$CORTEN_STATE`, else `$XDG_STATE_HOME/corten`, else `~/.local/state/corten`.
#[must_use]
pub fn state_dir() -> Utf8PathBuf {
    dir("CORTEN_STATE", "XDG_STATE_HOME", ".local/state")
}

/// What can be made again: `$CORTEN_CACHE`, else `$XDG_CACHE_HOME/corten`, else `~/.cache/corten`.
#[must_use]
pub fn cache_dir() -> Utf8PathBuf {
    dir("CORTEN_CACHE", "XDG_CACHE_HOME", ".cache")
}

fn dir(own: &str, xdg: &str, fallback: &str) -> Utf8PathBuf {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty()).map(Utf8PathBuf::from);
    let home = || set("HOME").unwrap_or_else(|| Utf8PathBuf::from("/tmp"));
    set(own).unwrap_or_else(|| set(xdg).unwrap_or_else(|| home().join(fallback)).join("corten"))
}
