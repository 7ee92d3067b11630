//! Versions that failed here and are refused.

use serde::{Deserialize, Serialize};

use super::{Extra, Record};

/// A version that failed on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Denied {
    /// The version.
    pub version: String,
    /// Root hash of the image that failed, hexadecimal: another build of the version is another image.
    pub root_hash: String,
    /// Why it is refused.
    pub reason: String,
    /// When it failed, milliseconds since 1970.
    pub time_unix_ms: i64,
    /// Fields of versions to come.
    #[serde(flatten)]
    pub extra: Extra,
}

/// All refused versions, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Denylist(pub Vec<Denied>);

impl Denylist {
    /// Why this image is refused, if it is.
    pub fn find(&self, root_hash: &str) -> Option<&Denied> {
        self.0.iter().find(|denied| denied.root_hash.eq_ignore_ascii_case(root_hash))
    }

    /// Refuses an image, in place of what was known about it.
    pub fn deny(&mut self, denied: Denied) {
        self.0.retain(|old| !old.root_hash.eq_ignore_ascii_case(&denied.root_hash));
        self.0.push(denied);
    }

    /// Forgets what failed under this version; tells whether there was anything.
    pub fn allow(&mut self, version: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|denied| denied.version != version);
        self.0.len() != before
    }
}

impl Record for Denylist {
    const KEY: &'static str = "update.denied";
}
