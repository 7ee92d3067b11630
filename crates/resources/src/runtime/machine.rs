//! The machine as a whole: its stage, what is not met yet, how it booted.

use corten_store::Kind;
use serde::{Deserialize, Serialize};

/// Where the machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineStage {
    /// On the way up.
    #[default]
    Booting,
    /// Waits for a config.
    Maintenance,
    /// Everything that the config asks for is there.
    Running,
    /// Going down to come back.
    Rebooting,
    /// Going down.
    ShuttingDown,
    /// Writing the system to a disk.
    Installing,
    /// Erasing volumes.
    Resetting,
}

impl MachineStage {
    /// As the API and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Maintenance => "maintenance",
            Self::Running => "running",
            Self::Rebooting => "rebooting",
            Self::ShuttingDown => "shutting-down",
            Self::Installing => "installing",
            Self::Resetting => "resetting",
        }
    }
}

/// Something that keeps the machine from being ready.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnmetCondition {
    /// What: `network`, `service kubelet`, `volume EPHEMERAL`.
    pub name: String,
    /// Why not, one sentence.
    pub reason: String,
    /// What is behind that, outermost first.
    pub causes: Vec<String>,
    /// What an operator can do; may be empty.
    pub hint: String,
}

/// State of the machine. The only resource has the id [`super::MACHINE`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MachineStatus {
    /// The stage.
    pub stage: MachineStage,
    /// Whether all conditions are met.
    pub ready: bool,
    /// What is missing.
    pub unmet: Vec<UnmetCondition>,
}

impl Kind for MachineStatus {
    const NAME: &'static str = "MachineStatus";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &["machinestatus", "machine"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("STAGE", "/stage"), ("READY", "/ready"), ("UNMET", "/unmet")]
    }
}

/// One mark on the way from power on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootMark {
    /// What was reached: `root switched`, `api answers`.
    pub name: String,
    /// Milliseconds since the kernel started, `CLOCK_BOOTTIME`.
    pub at_ms: u64,
}

/// How this boot went. The only resource has the id [`super::MACHINE`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BootTimeline {
    /// The marks, in the order in which they were reached.
    pub marks: Vec<BootMark>,
}

impl Kind for BootTimeline {
    const NAME: &'static str = "BootTimeline";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &["boottimeline", "boot"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("MARKS", "/marks")]
    }
}
