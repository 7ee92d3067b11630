//! What is pulled out and put in, on a machine that runs or is off.

use super::Node;
use crate::devices::{self, Device, MEDIUM};
use crate::spec::{Medium, MediumKind, files};
use crate::{LabError, Qmp, disk};
use serde_json::{Value, json};
use std::time::Duration;

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
            monitor.execute("blockdev-del", json!({ "node-name": MEDIUM })).await?;
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
    monitor.execute("device_add", device.json()).await.map(drop)
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
