//! What a node is made of: plain data, kept in the node's `state.json`.

use crate::Accel;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// How the kernel gets into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// QEMU loads kernel, initramfs and command line itself: quick.
    Direct,
    /// UEFI firmware, boot loader, unified kernel image: what hardware does.
    Firmware,
}

/// What a write to the disk means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// A sync of the guest is ignored: quickest, for tests that never cut the power.
    Unsafe,
    /// A sync of the guest reaches the file: for tests that kill QEMU.
    Writeback,
}

/// The system disk, a layer over the disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Size of the disk; as small as the image itself when not given.
    pub size_gib: Option<u32>,
    /// What a write means.
    pub cache: Cache,
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
    /// The system disk; none for a machine that lacks one.
    pub disk: Option<Disk>,
    /// Config that the node finds in QEMU's fw_cfg; without it, it starts in maintenance mode.
    pub config: Option<String>,
    /// Arguments after those of the image, with direct boot only.
    pub kernel_arguments: Vec<String>,
    /// Ports of the guest that are reachable here.
    pub forwards: Vec<Forward>,
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
            disk: Some(Disk { size_gib: Some(20), cache: Cache::Unsafe }),
            config: None,
            kernel_arguments: Vec::new(),
            forwards: Vec::new(),
        }
    }

    /// The loopback port that leads to a port of the guest.
    #[must_use]
    pub fn host_port(&self, guest: u16) -> Option<u16> {
        self.forwards.iter().find(|forward| forward.guest == guest).map(|forward| forward.host)
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
    pub(crate) const DISK: &str = "disk.qcow2";
    pub(crate) const CONFIG: &str = "config.yaml";
    pub(crate) const FIRMWARE_VARIABLES: &str = "firmware-variables.fd";
    pub(crate) const IMAGE: &str = "image";
    pub(crate) const MEMORY: &str = "memory";
}
