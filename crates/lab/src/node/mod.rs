//! One machine: its folder, its QEMU process, its power switch.
//!
//! Folder: `state.json` (the [`NodeSpec`]), `image/` (kernel, initramfs and disk image, linked), `disk-NAME.qcow2`
//! (or `disk-NAME.raw`, `disk-NAME.base.raw` and `disk-NAME.writes` when writes are recorded), `medium.iso`,
//! `config.yaml`, `console.log`, `console.sock`, `qmp.sock`, `qemu.pid`, `qemu.log`.

mod disks;
mod hotplug;

use crate::arguments::{FIRMWARE_VARIABLES, Origin, arguments};
use crate::console::{Console, Mark};
use crate::image::run;
use crate::process::{CpuTime, Process};
use crate::spec::{Boot, NodeSpec, files};
use crate::{Image, LabError, Qmp, Timeouts, disk};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// A machine that exists on disk, running or not.
#[derive(Debug, Clone)]
pub struct Node {
    spec: NodeSpec,
    image: Image,
}

impl Node {
    /// Makes the folder and the disk of a new node. It is off.
    ///
    /// # Errors
    /// When the folder is in use or cannot be written, or the disk cannot be made.
    pub fn create(spec: NodeSpec, image: &Image) -> Result<Self, LabError> {
        spec.check()?;
        fs::create_dir_all(&spec.dir).map_err(LabError::file("make", &spec.dir))?;
        let image = image.pin(&spec.file(files::IMAGE))?;
        let node = Self { spec, image };
        node.spec.disks.iter().try_for_each(|disk| disk::create(&node.spec, disk))?;
        if let Some(medium) = &node.spec.medium {
            disk::link_or_copy(&medium.iso, &node.spec.file(files::MEDIUM))?;
        }
        if node.spec.boot == Boot::Firmware {
            crate::image::copy(FIRMWARE_VARIABLES.into(), &node.spec.file(files::FIRMWARE_VARIABLES))?;
        }
        node.write_files()?;
        Ok(node)
    }

    /// The node in a folder.
    ///
    /// # Errors
    /// When the folder holds no complete node.
    pub fn open(dir: &Utf8Path) -> Result<Self, LabError> {
        let spec = read_spec(dir)?;
        let image = Image::open(&dir.join(files::IMAGE))?;
        Ok(Self { spec, image })
    }

    /// A node on top of a saved one: its disks are layers over the saved disks. Nothing is started.
    pub(crate) fn on_top_of(saved: &Node, mut spec: NodeSpec) -> Result<Self, LabError> {
        fs::create_dir_all(&spec.dir).map_err(LabError::file("make", &spec.dir))?;
        let image = saved.image.pin(&spec.file(files::IMAGE))?;
        for disk in &mut spec.disks {
            let below = saved.spec.file(&disk.file_name());
            let format = if disk.record { "raw" } else { "qcow2" };
            disk.record = false;
            disk::layer(&spec.dir.join(disk.file_name()), Some((&below, format)), None)?;
        }
        for name in [files::MEDIUM, files::FIRMWARE_VARIABLES] {
            if saved.spec.file(name).exists() {
                crate::image::copy(&saved.spec.file(name), &spec.file(name))?;
            }
        }
        let node = Self { spec, image };
        node.write_files()?;
        Ok(node)
    }

    fn write_files(&self) -> Result<(), LabError> {
        if let Some(config) = &self.spec.config {
            write_private(&self.spec.file(files::CONFIG), config)?;
        }
        write_spec(&self.spec)
    }

    /// What the node is made of now: another handle may have changed it since this one was made.
    ///
    /// # Errors
    /// When the node's folder cannot be read.
    pub fn current(&self) -> Result<NodeSpec, LabError> {
        read_spec(&self.spec.dir)
    }

    /// Rebuilds a node that is off: other boot, clock, memory, kernel arguments, config, medium ... All handles of
    /// the node see it at the next power on. Disks stay as they were made, except where the firmware boots from.
    ///
    /// # Errors
    /// When the node runs, or QEMU could not make what is wanted.
    pub fn change(&self, change: impl FnOnce(&mut NodeSpec)) -> Result<(), LabError> {
        self.need_off()?;
        self.rewrite(change)
    }

    fn rewrite(&self, change: impl FnOnce(&mut NodeSpec)) -> Result<(), LabError> {
        let mut spec = self.current()?;
        change(&mut spec);
        spec.check()?;
        let variables = spec.file(files::FIRMWARE_VARIABLES);
        if spec.boot == Boot::Firmware && !variables.exists() {
            crate::image::copy(FIRMWARE_VARIABLES.into(), &variables)?;
        }
        let image = self.image.clone();
        Self { spec, image }.write_files()
    }

    fn need_off(&self) -> Result<(), LabError> {
        if self.running() {
            return Err(LabError::Unsupported(format!("node {} must be off for that", self.spec.name)));
        }
        Ok(())
    }

    /// What the node was made of when this handle was.
    #[must_use]
    pub fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// The image that it runs.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        &self.spec.dir
    }

    /// Its console log.
    #[must_use]
    pub fn console(&self) -> Console {
        Console::new(self.spec.file(files::CONSOLE))
    }

    /// The socket at whose other end a test may sit and read, or not read, the console.
    #[must_use]
    pub fn console_socket(&self) -> Utf8PathBuf {
        self.spec.file(files::CONSOLE_SOCKET)
    }

    /// Deadlines for this node.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        Timeouts::new(self.spec.accel)
    }

    /// Whether its QEMU lives.
    #[must_use]
    pub fn running(&self) -> bool {
        self.process().is_some()
    }

    /// Process id of its QEMU.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.process().map(|process| process.pid())
    }

    /// Processor time that its QEMU used so far.
    #[must_use]
    pub fn cpu_time(&self) -> Option<CpuTime> {
        self.process()?.cpu_time()
    }

    /// Power on. Returns where the console log of this boot begins.
    ///
    /// # Errors
    /// When QEMU does not start, or the node runs already.
    pub async fn start(&self) -> Result<Mark, LabError> {
        self.launch(Origin::Reset).await
    }

    pub(crate) async fn launch(&self, origin: Origin) -> Result<Mark, LabError> {
        if self.running() {
            return Err(LabError::Unsupported(format!("node {} runs already", self.spec.name)));
        }
        let mark = self.console().mark();
        let spec = self.current()?;
        for disk in spec.disks.iter().filter(|disk| disk.record) {
            disk::begin_log(&spec, disk)?;
        }
        if origin == Origin::Reset {
            self.console().note("power on")?;
        }
        let mut command = Command::new(QEMU);
        command.args(arguments(&spec, &self.image, origin)).current_dir(&spec.dir);
        tokio::task::spawn_blocking(move || run(QEMU, "qemu-system-x86", &mut command))
            .await
            .map_err(|error| LabError::Program { program: QEMU, output: error.to_string() })??;
        tracing::info!(node = %self.spec.name, pid = self.pid(), accel = self.spec.accel.name(), "power on");
        Ok(mark)
    }

    /// The power goes: QEMU is killed, nothing is flushed.
    ///
    /// # Errors
    /// When the process does not go away.
    pub async fn power_cut(&self) -> Result<(), LabError> {
        let Some(process) = self.process() else { return Ok(()) };
        process.kill();
        process.gone(self.timeouts().seconds(10)).await
    }

    /// The reset button.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub async fn reset(&self) -> Result<(), LabError> {
        self.order("system_reset", json!({})).await?;
        self.console().note("reset button")
    }

    /// The power button, pressed briefly: ACPI tells the guest.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub async fn power_button(&self) -> Result<(), LabError> {
        self.order("system_powerdown", json!({})).await.map(drop)
    }

    /// Keys of the keyboard, by QEMU's names, pressed together and briefly: `ctrl`, `alt` and `delete`.
    ///
    /// # Errors
    /// When QEMU does not answer, or knows no such key.
    pub async fn press(&self, keys: &[&str]) -> Result<(), LabError> {
        self.order("send-key", chord(keys)).await.map(drop)
    }

    /// Waits until the machine has switched itself off.
    ///
    /// # Errors
    /// When it is still on after `patience`.
    pub async fn wait_off(&self, patience: Duration) -> Result<(), LabError> {
        match self.process() {
            Some(process) => process.gone(patience).await,
            None => Ok(()),
        }
    }

    /// Waits for a line on the console. Gives up as soon as the machine is off.
    ///
    /// # Errors
    /// When the line does not come, or QEMU ended without printing it.
    pub async fn wait_console(
        &self,
        text: &str,
        since: Mark,
        patience: Duration,
    ) -> Result<String, LabError> {
        let console = self.console();
        let off = async {
            while self.running() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            line = console.wait_for(text, since, patience) => line,
            () = off => console.wait_for(text, since, Duration::ZERO).await.map_err(|_| self.not_running()),
        }
    }

    /// Gives an order to QEMU's monitor.
    ///
    /// # Errors
    /// When the node is off or QEMU refuses.
    pub async fn order(
        &self,
        command: &str,
        arguments: serde_json::Value,
    ) -> Result<serde_json::Value, LabError> {
        self.monitor().await?.execute(command, arguments).await
    }

    pub(crate) async fn monitor(&self) -> Result<Qmp, LabError> {
        if !self.running() {
            return Err(self.not_running());
        }
        Qmp::connect(&self.spec.file(files::QMP)).await
    }

    /// Kills QEMU and removes the folder.
    ///
    /// # Errors
    /// When files stay behind.
    pub fn destroy(&self) -> Result<(), LabError> {
        crate::leftovers::remove(&self.spec.dir)
    }

    pub(crate) fn process(&self) -> Option<Process> {
        Process::find(&self.spec.file(files::PIDFILE))
    }

    fn not_running(&self) -> LabError {
        let console = self.console().path().to_owned();
        LabError::NotRunning { name: self.spec.name.clone(), console }
    }
}

fn chord(keys: &[&str]) -> serde_json::Value {
    let keys: Vec<_> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
    json!({ "keys": keys })
}

pub(crate) fn no_qemu(source: io::Error) -> LabError {
    LabError::NoProgram { program: QEMU, package: "qemu-system-x86", source }
}

fn read_spec(dir: &Utf8Path) -> Result<NodeSpec, LabError> {
    let path = dir.join(files::STATE);
    let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
    let spec = serde_json::from_str(&text).map_err(io::Error::from);
    // The folder may have been moved.
    let spec: NodeSpec = spec.map_err(LabError::file("read", &path))?;
    Ok(NodeSpec { dir: dir.to_owned(), ..spec })
}

fn write_spec(spec: &NodeSpec) -> Result<(), LabError> {
    let path = spec.file(files::STATE);
    let text = serde_json::to_string_pretty(spec).map_err(io::Error::from);
    write_private(&path, &text.map_err(LabError::file("write", &path))?)
}

/// Writes a file that only its owner may read: configs hold private keys.
pub(crate) fn write_private(path: &Utf8Path, text: &str) -> Result<(), LabError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes())).map_err(LabError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_pressed_together_are_one_order() {
        let wanted = r#"{"keys":[{"data":"ctrl","type":"qcode"},{"data":"x","type":"qcode"}]}"#;
        assert_eq!(chord(&["ctrl", "x"]), serde_json::from_str::<serde_json::Value>(wanted).unwrap());
    }
}
