//! The config that each image ran with, so that an image gets its own config back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Extra, Record};

/// The config that an image ran with last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlotConfig {
    /// Number of the config generation on STATE.
    pub generation: u64,
    /// Digest of its content: a number may be used again after STATE was reset.
    pub digest: String,
    /// Fields of versions to come.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The configs of all known images, by root hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotConfigs(pub BTreeMap<String, SlotConfig>);

impl Record for SlotConfigs {
    const KEY: &'static str = "config.slots";
}
