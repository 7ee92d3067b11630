//! Disks of nodes: qcow2 layers over something that is never written.

use crate::LabError;
use crate::image::run;
use camino::Utf8Path;
use std::process::Command;

/// Makes a layer over `base`, which may be given relative to the new file's folder.
pub(crate) fn layer(
    file: &Utf8Path,
    base: &Utf8Path,
    format: &str,
    gib: Option<u32>,
) -> Result<(), LabError> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", format, "-b", base.as_str(), file.as_str()]);
    command.args(gib.map(|gib| format!("{gib}G")));
    run("qemu-img", "qemu-utils", &mut command).map(drop)
}

/// Overwrites bytes of a disk that no QEMU has open.
pub(crate) fn overwrite(file: &Utf8Path, offset: u64, length: u64, pattern: u8) -> Result<(), LabError> {
    let order = format!("write -P {pattern} {offset} {length}");
    let mut command = Command::new("qemu-io");
    run("qemu-io", "qemu-utils", command.args(["-f", "qcow2", "-c", &order, file.as_str()])).map(drop)
}

/// Gives a layer another size; what lay behind the new end is lost.
pub(crate) fn resize(file: &Utf8Path, mib: u32) -> Result<(), LabError> {
    let mut command = Command::new("qemu-img");
    command.args(["resize", "-q", "-f", "qcow2", "--shrink", file.as_str(), &format!("{mib}M")]);
    run("qemu-img", "qemu-utils", &mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_into_a_layer_leaves_the_base_alone() {
        if Command::new("qemu-io").arg("--version").output().is_err() {
            eprintln!("skipped: qemu-utils is not installed");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        std::fs::write(dir.join("base.raw"), vec![1_u8; 1 << 20]).unwrap();
        let file = dir.join("disk.qcow2");
        layer(&file, Utf8Path::new("base.raw"), "raw", Some(1)).unwrap();
        overwrite(&file, 4096, 512, 7).unwrap();
        assert!(std::fs::read(dir.join("base.raw")).unwrap().iter().all(|byte| *byte == 1));
        let check = |at: u32, pattern: u8| {
            let order = format!("read -P {pattern} {at} 512");
            let mut command = Command::new("qemu-io");
            run("qemu-io", "qemu-utils", command.args(["-f", "qcow2", "-c", &order, file.as_str()])).is_ok()
        };
        assert!(check(4096, 7) && check(0, 1) && !check(0, 7));
    }
}
