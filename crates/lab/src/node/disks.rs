//! The disks of a node that is off: damage, other sizes, recorded writes, the raw content.

use super::Node;
use crate::spec::{DiskSpec, NodeSpec, Source, files};
use crate::writelog::Recording;
use crate::{LabError, disk};
use camino::{Utf8Path, Utf8PathBuf};
use std::fs;

impl Node {
    /// Overwrites bytes of the system disk.
    ///
    /// # Errors
    /// When the node runs or has no disk.
    pub fn overwrite_disk(&self, offset: u64, length: u64, pattern: u8) -> Result<(), LabError> {
        self.need_off()?;
        disk::overwrite(&self.system_disk()?, offset, length, pattern)
    }

    /// Cuts or lengthens the system disk.
    ///
    /// # Errors
    /// When the node runs or has no disk.
    pub fn resize_disk(&self, mib: u32) -> Result<(), LabError> {
        self.need_off()?;
        disk::resize(&self.system_disk()?, mib)
    }

    /// Writes what a disk holds into a raw, sparse file: to look for secrets in it, for example.
    ///
    /// # Errors
    /// When the node runs or has no such disk.
    pub fn export_disk(&self, name: &str, to: &Utf8Path) -> Result<(), LabError> {
        self.need_off()?;
        let spec = self.current()?;
        disk::export(&spec.file(&spec.disk(name)?.file_name()), to)
    }

    /// From the next power on, every write to a disk is recorded, on top of what it holds now. An earlier recording
    /// is dropped.
    ///
    /// # Errors
    /// When the node runs or has no such disk.
    pub fn record_disk(&self, name: &str) -> Result<(), LabError> {
        self.need_off()?;
        let spec = self.current()?;
        let before = spec.disk(name)?;
        let recorded = disk::record(&spec, before)?;
        self.replace_disk(&spec, before, recorded)
    }

    /// From the next power on, a disk is a layer over what a raw file holds, which stays as it is: a replayed disk. What
    /// was recorded of the disk stays too.
    ///
    /// # Errors
    /// When the node runs, has no such disk, or the file cannot be found.
    pub fn lay_disk_over(&self, name: &str, raw: &Utf8Path) -> Result<(), LabError> {
        self.need_off()?;
        let spec = self.current()?;
        let before = spec.disk(name)?;
        let over = DiskSpec { source: Source::File(raw.to_owned()), record: false, ..before.clone() };
        disk::create(&spec, &over)?;
        self.replace_disk(&spec, before, over)
    }

    /// From the next power on, these sectors of a disk have errors, and no others.
    ///
    /// # Errors
    /// When the node runs or has no such disk.
    pub fn bad_sectors(&self, name: &str, bad: &[crate::BadSector]) -> Result<(), LabError> {
        self.need_off()?;
        let spec = self.current()?;
        let before = spec.disk(name)?;
        self.replace_disk(&spec, before, DiskSpec { bad_sectors: bad.to_vec(), ..before.clone() })
    }

    fn replace_disk(&self, spec: &NodeSpec, before: &DiskSpec, after: DiskSpec) -> Result<(), LabError> {
        if before.file_name() != after.file_name() {
            let old = spec.file(&before.file_name());
            fs::remove_file(&old).map_err(LabError::file("remove", &old))?;
        }
        let name = after.name.clone();
        self.rewrite(|spec| {
            for disk in spec.disks.iter_mut().filter(|disk| disk.name == name) {
                *disk = after.clone();
            }
        })
    }

    /// What was recorded of a disk. The log of a running node ends somewhere.
    ///
    /// # Errors
    /// When there is no such disk, or its writes are not recorded.
    pub fn recording(&self, name: &str) -> Result<Recording, LabError> {
        let spec = self.current()?;
        let disk = spec.disk(name)?;
        if !disk.record {
            return Err(LabError::Unsupported(format!("the writes to disk {name} are not recorded")));
        }
        let file = spec.file(&disk.file_name());
        let bytes = fs::metadata(&file).map_err(LabError::file("read", &file))?.len();
        Ok(Recording { base: spec.file(&disk.base_name()), bytes, logs: disk::logs(&spec, disk) })
    }

    /// Removes disks, medium and image of a node that is off, and keeps what tells about it: it cannot start again.
    pub fn drop_large_files(&self) {
        let _ = fs::remove_dir_all(self.dir().join(files::IMAGE));
        let entries = self.dir().read_dir_utf8().into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().starts_with("disk-")) {
            let _ = fs::remove_file(entry.path());
        }
        for name in [files::MEDIUM, files::MEMORY] {
            let _ = fs::remove_file(self.dir().join(name));
        }
    }

    fn system_disk(&self) -> Result<Utf8PathBuf, LabError> {
        let spec = self.current()?;
        let disk = spec.disks.first();
        let disk = disk.ok_or_else(|| LabError::Unsupported(format!("node {} has no disk", spec.name)))?;
        Ok(spec.file(&disk.file_name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Accel, Image};

    #[test]
    fn a_disk_over_a_replayed_one_leaves_the_recording_alone() {
        if std::process::Command::new("qemu-img").arg("--version").output().is_err() {
            eprintln!("skipped: qemu-utils is not installed");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let files = dir.join("image");
        fs::create_dir(&files).unwrap();
        for name in ["vmlinuz", "initramfs", "cmdline", "corten.raw"] {
            fs::write(files.join(name), "").unwrap();
        }
        let recorded = DiskSpec { record: true, ..DiskSpec::blank("system", 1) };
        let spec = NodeSpec { disks: vec![recorded], ..NodeSpec::new("n1", &dir.join("n1"), Accel::Tcg) };
        let node = Node::create(spec, &Image::open(&files).unwrap()).unwrap();
        let recording = node.recording("system").unwrap();
        let replayed = dir.join("replayed.raw");
        fs::write(&replayed, vec![7; 1 << 20]).unwrap();
        for _ in 0..2 {
            node.lay_disk_over("system", &replayed).unwrap();
            node.overwrite_disk(0, 512, 8).unwrap();
        }
        let exported = dir.join("exported.raw");
        node.export_disk("system", &exported).unwrap();
        let bytes = fs::read(&exported).unwrap();
        assert_eq!((bytes[0], bytes[512], bytes.len()), (8, 7, 1 << 30));
        assert!(fs::read(&replayed).unwrap().iter().all(|byte| *byte == 7));
        assert!(recording.base.exists() && node.recording("system").is_err());
        assert!(node.lay_disk_over("system", &dir.join("absent")).is_err());
    }
}
