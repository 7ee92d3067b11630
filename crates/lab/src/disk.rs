//! The files behind disks: qcow2 layers over something that is never written, or raw files when writes are
//! recorded.

use crate::LabError;
use crate::image::{copy, run};
use crate::spec::{DiskSpec, NodeSpec, Source, files};
use camino::{Utf8Path, Utf8PathBuf};
use std::fs::{self, File};
use std::process::Command;

/// Makes the files of a new disk.
pub(crate) fn create(spec: &NodeSpec, disk: &DiskSpec) -> Result<(), LabError> {
    let file = spec.file(&disk.file_name());
    let source = source(&disk.source)?;
    if !disk.record {
        let base = source.as_deref().map(|base| (base, "raw"));
        return layer(&file, base, disk.size_mib);
    }
    let base = spec.file(&disk.base_name());
    match source {
        None => File::create(&base).map(drop).map_err(LabError::file("make", &base))?,
        Some(source) => link_or_copy(&spec.dir.join(source), &base)?,
    }
    copy(&base, &file)?;
    let bytes = disk.size_mib.map(|mib| mib << 20);
    bytes.map_or(Ok(()), |bytes| lengthen(&file, bytes))
}

/// From now on, the writes to a disk are recorded: its present content becomes the base of the log.
pub(crate) fn record(spec: &NodeSpec, disk: &DiskSpec) -> Result<DiskSpec, LabError> {
    let (file, base) = (spec.file(&disk.file_name()), spec.file(&disk.base_name()));
    let recorded = DiskSpec { record: true, ..disk.clone() };
    for log in logs(spec, disk) {
        fs::remove_file(&log).map_err(LabError::file("remove", &log))?;
    }
    let fresh = spec.file(&format!("{}.new", disk.base_name()));
    if disk.record {
        copy(&file, &fresh)?;
    } else {
        let mut command = Command::new("qemu-img");
        command.args(["convert", "-f", "qcow2", "-O", "raw", file.as_str(), fresh.as_str()]);
        run("qemu-img", "qemu-utils", &mut command)?;
        copy(&fresh, &spec.file(&recorded.file_name()))?;
    }
    fs::rename(&fresh, &base).map_err(LabError::file("rename", &fresh))?;
    Ok(recorded)
}

/// The logs of a recorded disk, one for each power-on, in order.
pub(crate) fn logs(spec: &NodeSpec, disk: &DiskSpec) -> Vec<Utf8PathBuf> {
    let earlier = (1..).map(|number| spec.file(&disk.log_name(Some(number))));
    let mut logs: Vec<_> = earlier.take_while(|path| path.exists()).collect();
    logs.extend(Some(spec.file(&disk.log_name(None))).filter(|path| path.exists()));
    logs
}

/// A new, empty log for the power-on that comes; that of the power-on before is kept beside it.
pub(crate) fn begin_log(spec: &NodeSpec, disk: &DiskSpec) -> Result<(), LabError> {
    let path = spec.file(&disk.log_name(None));
    if path.exists() {
        let earlier = spec.file(&disk.log_name(Some(logs(spec, disk).len())));
        fs::rename(&path, &earlier).map_err(LabError::file("rename", &path))?;
    }
    File::create(&path).map(drop).map_err(LabError::file("make", &path))
}

/// A path that holds in the node's folder; `None` for a blank disk.
fn source(source: &Source) -> Result<Option<Utf8PathBuf>, LabError> {
    match source {
        Source::Image => Ok(Some(Utf8Path::new(files::IMAGE).join("corten.raw"))),
        Source::Blank => Ok(None),
        Source::File(path) => path.canonicalize_utf8().map(Some).map_err(LabError::file("find", path)),
    }
}

/// Makes a layer over `base`, a path relative to the new file's folder and its format; or an empty disk.
pub(crate) fn layer(
    file: &Utf8Path,
    base: Option<(&Utf8Path, &str)>,
    mib: Option<u64>,
) -> Result<(), LabError> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2"]);
    if let Some((base, format)) = base {
        command.args(["-F", format, "-b", base.as_str()]);
    }
    command.arg(file).args(mib.map(|mib| format!("{mib}M")));
    run("qemu-img", "qemu-utils", &mut command).map(drop)
}

/// Makes a sparse file that long; a file that is longer stays so.
fn lengthen(path: &Utf8Path, bytes: u64) -> Result<(), LabError> {
    let open = File::options().write(true).open(path);
    let longer = open.and_then(|file| match file.metadata()?.len() < bytes {
        true => file.set_len(bytes),
        false => Ok(()),
    });
    longer.map_err(LabError::file("lengthen", path))
}

/// A hard link where the file system allows.
pub(crate) fn link_or_copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), LabError> {
    let _ = fs::remove_file(to);
    if fs::hard_link(from, to).is_ok() { Ok(()) } else { copy(from, to) }
}

/// Overwrites bytes of a disk that no QEMU has open.
pub(crate) fn overwrite(file: &Utf8Path, offset: u64, length: u64, pattern: u8) -> Result<(), LabError> {
    let order = format!("write -P {pattern} {offset} {length}");
    let mut command = Command::new("qemu-io");
    command.args(["-f", format(file), "-c", &order, file.as_str()]);
    run("qemu-io", "qemu-utils", &mut command).map(drop)
}

/// Gives a layer another size; what lay behind the new end is lost.
pub(crate) fn resize(file: &Utf8Path, mib: u32) -> Result<(), LabError> {
    let mut command = Command::new("qemu-img");
    command.args(["resize", "-q", "-f", format(file), "--shrink", file.as_str(), &format!("{mib}M")]);
    run("qemu-img", "qemu-utils", &mut command).map(drop)
}

/// What a disk holds, as a raw file. The node is off, so nobody writes, whoever may still hold a lock.
pub(crate) fn export(file: &Utf8Path, to: &Utf8Path) -> Result<(), LabError> {
    let mut command = Command::new("qemu-img");
    command.args(["convert", "-U", "-f", format(file), "-O", "raw", file.as_str(), to.as_str()]);
    run("qemu-img", "qemu-utils", &mut command).map(drop)
}

fn format(file: &Utf8Path) -> &'static str {
    if file.extension() == Some("raw") { "raw" } else { "qcow2" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Accel;

    fn tools() -> bool {
        let found = Command::new("qemu-io").arg("--version").output().is_ok();
        if !found {
            eprintln!("skipped: qemu-utils is not installed");
        }
        found
    }

    fn holds(file: &Utf8Path, at: u32, pattern: u8) -> bool {
        let order = format!("read -P {pattern} {at} 512");
        let mut command = Command::new("qemu-io");
        run("qemu-io", "qemu-utils", command.args(["-f", format(file), "-c", &order, file.as_str()])).is_ok()
    }

    #[test]
    fn writing_into_a_layer_leaves_the_base_alone() {
        if !tools() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        fs::write(dir.join("base.raw"), vec![1_u8; 1 << 20]).unwrap();
        let file = dir.join("disk.qcow2");
        layer(&file, Some((Utf8Path::new("base.raw"), "raw")), Some(1024)).unwrap();
        overwrite(&file, 4096, 512, 7).unwrap();
        assert!(fs::read(dir.join("base.raw")).unwrap().iter().all(|byte| *byte == 1));
        assert!(holds(&file, 4096, 7) && holds(&file, 0, 1) && !holds(&file, 0, 7));
    }

    #[test]
    fn a_disk_is_recorded_from_what_it_held_then() {
        if !tools() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let spec = NodeSpec::new("n1", Utf8Path::from_path(dir.path()).unwrap(), Accel::Tcg);
        let disk = DiskSpec { size_mib: Some(4), ..DiskSpec::blank("data", 0) };
        create(&spec, &disk).unwrap();
        overwrite(&spec.file(&disk.file_name()), 512, 512, 7).unwrap();
        begin_log(&spec, &disk).unwrap();
        let recorded = record(&spec, &disk).unwrap();
        assert!(logs(&spec, &recorded).is_empty());
        assert!(holds(&spec.file(&recorded.file_name()), 512, 7));
        assert!(holds(&spec.file(&recorded.base_name()), 512, 7));
        begin_log(&spec, &recorded).unwrap();
        begin_log(&spec, &recorded).unwrap();
        let names: Vec<_> =
            logs(&spec, &recorded).iter().map(|log| log.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["disk-data.1.writes", "disk-data.writes"]);
        overwrite(&spec.file(&recorded.file_name()), 512, 512, 8).unwrap();
        let again = record(&spec, &recorded).unwrap();
        assert!(holds(&spec.file(&again.base_name()), 512, 8));
    }
}
