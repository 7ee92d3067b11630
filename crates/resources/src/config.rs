//! The config and its generations.

use serde::{Deserialize, Serialize};

use corten_store::Kind;

impl MachineConfig {
    /// Id of the config in force.
    pub const ACTIVE: &'static str = "active";
}

/// The config that the node runs. The only resource of this kind has the id [`MachineConfig::ACTIVE`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineConfig {
    /// Number of the generation on STATE, counted from 1.
    pub generation: u64,
    /// SHA-256 of the text, hexadecimal.
    pub digest: String,
    /// Where it came from: `state`, `fw_cfg`, `cmdline`, `api`.
    pub source: String,
    /// The documents, as they were given, secrets included.
    pub text: String,
}

impl Kind for MachineConfig {
    const NAME: &'static str = "MachineConfig";
    const NAMESPACE: &'static str = "config";
    const ALIASES: &'static [&'static str] = &["machineconfig", "machineconfigs", "mc"];
    const SENSITIVE: bool = true;
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("GENERATION", "/generation"), ("DIGEST", "/digest"), ("SOURCE", "/source")]
    }
}

/// Why a config source was not used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ConfigSourceStatus {
    /// Whether this source gave the config in force.
    pub used: bool,
    /// What was found there, or why it was refused.
    pub message: String,
}

impl ConfigSourceStatus {
    /// Id of the one that says that no source has a config: all were asked.
    pub const ALL: &'static str = "all";
}

impl Kind for ConfigSourceStatus {
    const NAME: &'static str = "ConfigSourceStatus";
    const NAMESPACE: &'static str = "config";
    const ALIASES: &'static [&'static str] = &["configsourcestatus", "configsources"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("USED", "/used"), ("MESSAGE", "/message")]
    }
}
