//! What a node is made of: plain data, kept in the node's `state.json`.

mod disk;
mod medium;

pub use disk::{BadSector, Bus, Cache, DiskSpec, Source};
pub use medium::{Medium, MediumKind};

use crate::{Accel, LabError};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// This machine, as a guest that may open connections sees it.
pub const HOST: &str = "10.0.2.2";

/// How the kernel gets into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// QEMU loads kernel, initramfs and command line itself: quick.
    Direct,
    /// UEFI firmware, boot loader, unified kernel image: what hardware does.
    Firmware,
}

/// A port of the guest that is reachable on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Port on 127.0.0.1 of this machine.
    pub host: u16,
    /// Port of the guest.
    pub guest: u16,
}

/// A node, before and after it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// Name within its cluster.
    pub name: String,
    /// The folder that holds everything of this node.
    pub dir: Utf8PathBuf,
    /// KVM or emulation.
    pub accel: Accel,
    /// Memory of the machine.
    pub memory_mib: u32,
    /// Virtual processors.
    pub cpus: u32,
    /// Direct kernel boot or firmware.
    pub boot: Boot,
    /// Its disks, the system disk first; none for a machine that lacks one.
    pub disks: Vec<DiskSpec>,
    /// The install medium, when one is in the machine.
    pub medium: Option<Medium>,
    /// The board has a hardware watchdog.
    #[serde(default = "has_watchdog")]
    pub watchdog: bool,
    /// What the machine's clock shows at power on; this machine's time when not given.
    pub clock: Option<jiff::Timestamp>,
    /// Config that the node finds in QEMU's fw_cfg; without it, it starts in maintenance mode.
    pub config: Option<String>,
    /// Arguments after those of the image, with direct boot only.
    pub kernel_arguments: Vec<String>,
    /// Ports of the guest that are reachable here.
    pub forwards: Vec<Forward>,
    /// The guest may open connections: to this machine, which is [`HOST`] to it, and to wherever this machine leads.
    #[serde(default)]
    pub outgoing: bool,
}

/// A node that was saved before there was a choice has one.
fn has_watchdog() -> bool {
    true
}

impl NodeSpec {
    /// A node with the defaults of the lab: 2 processors, 4 GiB, 20 GiB disk, direct boot, no config.
    #[must_use]
    pub fn new(name: &str, dir: &Utf8Path, accel: Accel) -> Self {
        Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            accel,
            memory_mib: 4096,
            cpus: 2,
            boot: Boot::Direct,
            disks: vec![DiskSpec::system(Some(20), Cache::Unsafe)],
            medium: None,
            watchdog: true,
            clock: None,
            config: None,
            kernel_arguments: Vec::new(),
            forwards: Vec::new(),
            outgoing: false,
        }
    }

    /// The loopback port that leads to a port of the guest.
    #[must_use]
    pub fn host_port(&self, guest: u16) -> Option<u16> {
        self.forwards.iter().find(|forward| forward.guest == guest).map(|forward| forward.host)
    }

    /// A disk by its name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn disk(&self, name: &str) -> Result<&DiskSpec, LabError> {
        let found = self.disks.iter().find(|disk| disk.name == name);
        found.ok_or_else(|| LabError::Unsupported(format!("node {} has no disk {name}", self.name)))
    }

    /// Refuses what QEMU could not make.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        self.disks.iter().try_for_each(DiskSpec::check)?;
        // The board's controller has six ports, and the last one is the CD drive's.
        let sata = self.disks.iter().rposition(|disk| disk.bus == Bus::Sata);
        if sata.is_some_and(|last| last > 4) {
            return Err(LabError::Unsupported(format!("node {} has SATA disks behind its fifth", self.name)));
        }
        let mut names: Vec<&str> = self.disks.iter().map(|disk| disk.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(LabError::Unsupported(format!("node {} has two disks of one name", self.name)));
        }
        Ok(())
    }

    pub(crate) fn file(&self, name: &str) -> Utf8PathBuf {
        self.dir.join(name)
    }
}

/// Names of the files in a node's folder.
pub(crate) mod files {
    pub(crate) const STATE: &str = "state.json";
    pub(crate) const PIDFILE: &str = "qemu.pid";
    pub(crate) const LOG: &str = "qemu.log";
    pub(crate) const QMP: &str = "qmp.sock";
    pub(crate) const CONSOLE: &str = "console.log";
    pub(crate) const CONSOLE_SOCKET: &str = "console.sock";
    pub(crate) const CONFIG: &str = "config.yaml";
    pub(crate) const FIRMWARE_VARIABLES: &str = "firmware-variables.fd";
    pub(crate) const MEDIUM: &str = "medium.iso";
    pub(crate) const IMAGE: &str = "image";
    pub(crate) const MEMORY: &str = "memory";
}
