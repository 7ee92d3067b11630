//! What is pulled out and put in, on a machine that runs or is off.

use super::Node;
use crate::devices::{self, Device, MEDIUM};
use crate::spec::{Medium, MediumKind, files};
use crate::{LabError, Qmp, disk};
use serde_json::{Value, json};
use std::time::Duration;

/// What QEMU says until it has cleaned up.
const SETTLING: [&str; 2] = ["bootindex", "is in use"];

impl Node {
    /// Pulls a disk out of the running machine. Its content is kept. A disk behind a slot (`hotplug`) goes when the
    /// guest's kernel lets it go, a SCSI disk at once.
    ///
    /// # Errors
    /// When the node is off, has no such disk, or the disk does not go.
    pub async fn pull_disk(&self, name: &str) -> Result<(), LabError> {
        self.current()?.disk(name)?;
        unplug(&mut self.monitor().await?, name, self.timeouts().seconds(20)).await
    }

    /// Puts a disk that was pulled back into the running machine.
    ///
    /// # Errors
    /// When the node is off, has no such disk, or has it in.
    pub async fn replug_disk(&self, name: &str) -> Result<(), LabError> {
        let spec = self.current()?;
        let wanted = spec.disk(name)?;
        let index = spec.disks.iter().position(|disk| disk.name == name).unwrap_or_default();
        plug(&mut self.monitor().await?, &devices::disk(&spec, index, wanted).device).await
    }

    /// Takes the install medium out, even against the guest's will. Nothing to do without one.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub async fn eject_medium(&self) -> Result<(), LabError> {
        let Some(medium) = self.current()?.medium else { return Ok(()) };
        if self.running() {
            let mut monitor = self.monitor().await?;
            if medium.kind == MediumKind::Cdrom {
                monitor.execute("blockdev-open-tray", json!({ "id": MEDIUM, "force": true })).await?;
                monitor.execute("blockdev-remove-medium", json!({ "id": MEDIUM })).await?;
            } else {
                unplug(&mut monitor, MEDIUM, self.timeouts().seconds(20)).await?;
            }
            settled(&mut monitor, "blockdev-del", json!({ "node-name": MEDIUM })).await?;
        }
        self.rewrite(|spec| spec.medium = None)
    }

    /// Puts an install medium in. A running machine takes only the kind that it had at power on: its drive, port or
    /// controller is still there.
    ///
    /// # Errors
    /// When there is one in already, or the running machine has no place for it.
    pub async fn insert_medium(&self, medium: &Medium) -> Result<(), LabError> {
        let mut spec = self.current()?;
        if spec.medium.is_some() {
            return Err(LabError::Unsupported(format!("node {} has a medium in", spec.name)));
        }
        disk::link_or_copy(&medium.iso, &spec.file(files::MEDIUM))?;
        spec.medium = Some(medium.clone());
        if let (true, Some(parts)) = (self.running(), devices::medium(&spec)) {
            let mut monitor = self.monitor().await?;
            monitor.execute("blockdev-add", parts.block).await?;
            if medium.kind == MediumKind::Cdrom {
                let order = json!({ "id": MEDIUM, "node-name": MEDIUM });
                monitor.execute("blockdev-insert-medium", order).await?;
                monitor.execute("blockdev-close-tray", json!({ "id": MEDIUM })).await?;
            } else {
                plug(&mut monitor, &parts.device).await?;
            }
        }
        self.rewrite(|spec| spec.medium = Some(medium.clone()))
    }
}

async fn plug(monitor: &mut Qmp, device: &Device) -> Result<(), LabError> {
    settled(monitor, "device_add", device.json()).await
}

/// A device that was just pulled holds its place in the boot order and its file until QEMU has cleaned up behind it;
/// an order that needs them is repeated until then.
async fn settled(monitor: &mut Qmp, command: &str, arguments: Value) -> Result<(), LabError> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    loop {
        match monitor.execute(command, arguments.clone()).await {
            Err(LabError::Refused { message, .. })
                if SETTLING.iter().any(|words| message.contains(words))
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer.map(drop),
        }
    }
}

/// Asks for a device to go, and waits until it is gone.
async fn unplug(monitor: &mut Qmp, id: &str, patience: Duration) -> Result<(), LabError> {
    monitor.execute("device_del", json!({ "id": id })).await?;
    let deadline = tokio::time::Instant::now() + patience;
    while present(monitor, id).await? {
        if tokio::time::Instant::now() > deadline {
            return Err(LabError::Timeout { what: format!("the removal of {id}"), after: patience });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn present(monitor: &mut Qmp, id: &str) -> Result<bool, LabError> {
    let list = monitor.execute("qom-list", json!({ "path": "/machine/peripheral" })).await?;
    let names = |list: &Value| list.as_array().cloned().unwrap_or_default();
    Ok(names(&list).iter().any(|entry| entry["name"] == id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{FIRMWARE_CODE, FIRMWARE_VARIABLES};
    use crate::spec::{Boot, Bus, DiskSpec};
    use crate::{Accel, Image, NodeSpec};
    use camino::Utf8Path;
    use std::fs;

    fn installed() -> bool {
        let programs = [crate::node::QEMU, "qemu-img"];
        let found =
            programs.iter().all(|name| std::process::Command::new(name).arg("--version").output().is_ok());
        let firmware = [FIRMWARE_CODE, FIRMWARE_VARIABLES].iter().all(|path| Utf8Path::new(path).exists());
        if !(found && firmware) {
            eprintln!("skipped: QEMU or its firmware is not installed");
        }
        found && firmware
    }

    /// A machine without a system: the firmware is enough of a guest for drives and SCSI disks.
    fn machine(dir: &Utf8Path) -> Node {
        let files = dir.join("image");
        fs::create_dir(&files).unwrap();
        for name in ["vmlinuz", "initramfs", "cmdline", "corten.raw"] {
            fs::write(files.join(name), "").unwrap();
        }
        fs::write(dir.join("medium"), vec![0; 1 << 20]).unwrap();
        let scsi = DiskSpec { bus: Bus::Scsi, record: true, ..DiskSpec::blank("system", 1) };
        let nvme =
            DiskSpec { bus: Bus::Nvme, sector_size: 4096, hotplug: true, ..DiskSpec::blank("data", 1) };
        let spec = NodeSpec {
            boot: Boot::Firmware,
            memory_mib: 256,
            disks: vec![scsi, nvme, DiskSpec { bus: Bus::Sata, ..DiskSpec::blank("old", 1) }],
            medium: Some(Medium::cdrom(&dir.join("medium"))),
            clock: Some("2009-01-03T18:15:05Z".parse().unwrap()),
            ..NodeSpec::new("n1", &dir.join("n1"), Accel::Tcg)
        };
        Node::create(spec, &Image::open(&files).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn disks_and_media_go_and_come_back_while_the_machine_runs() {
        if !installed() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let node = machine(dir);
        node.start().await.unwrap();
        node.pull_disk("system").await.unwrap();
        assert!(node.pull_disk("system").await.is_err(), "it is gone");
        node.replug_disk("system").await.unwrap();
        assert!(node.pull_disk("absent").await.is_err());

        let medium = Medium::cdrom(&dir.join("medium"));
        assert!(node.insert_medium(&medium).await.is_err(), "there is one in");
        node.eject_medium().await.unwrap();
        assert_eq!(node.current().unwrap().medium, None);
        node.insert_medium(&medium).await.unwrap();
        node.press(&["ctrl", "x"]).await.unwrap();
        assert!(node.press(&["no-such-key"]).await.is_err());
        node.reset().await.unwrap();
        assert!(node.change(|spec| spec.clock = None).is_err(), "the machine runs");
        node.power_cut().await.unwrap();

        node.eject_medium().await.unwrap();
        node.insert_medium(&Medium { kind: MediumKind::Usb, ..medium.clone() }).await.unwrap();
        node.start().await.unwrap();
        node.eject_medium().await.unwrap();
        node.insert_medium(&Medium { kind: MediumKind::Usb, ..medium }).await.unwrap();
        assert_eq!(node.recording("system").unwrap().logs.len(), 2);
        node.destroy().unwrap();
    }
}
