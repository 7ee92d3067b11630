//! The last reset of this node.

use serde::{Deserialize, Serialize};

use super::{Extra, Record};

/// A reset that left META in place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastReset {
    /// Labels of the volumes that are to be emptied, or were.
    pub volumes: Vec<String>,
    /// How they were emptied, volume by volume: "discard", "overwrite" or "header".
    pub methods: Vec<String>,
    /// What went wrong on the way, in words.
    pub problems: Vec<String>,
    /// The volumes are empty; until then the reset has to go on.
    pub finished: bool,
    /// When it began, milliseconds since 1970.
    pub time_unix_ms: i64,
    /// Fields of versions to come.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Record for LastReset {
    const KEY: &'static str = "reset.last";
}
