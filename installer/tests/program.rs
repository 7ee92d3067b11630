//! The program `installer`, as somebody at a workstation uses it: on a file that stands for a disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};

use installer::content::{self, Content};
use installer::device::{Disk, SectorSize};

const HASH: &str = "9dbdd18328a0751e1c8464271baeb489dd2f6930d7ca94dbd2c7ca4cf9b53dba";

/// Runs a command of it on `disk.raw` in a folder with a root image, a kernel image and a boot loader.
fn installer(folder: &Path, command: &str, more: &[&str]) -> Output {
    let files: &[&str] = match command {
        "install" => {
            &["--root", "root.img", "--uki", "corten.efi", "--loader", "loader.efi", "--version", "0.3.0"]
        }
        _ => &[],
    };
    let mut program = Command::new(env!("CARGO_BIN_EXE_installer"));
    program.current_dir(folder).args([command, "--disk", "disk.raw", "--root-hash", HASH]);
    program.args(files).args(more).output().unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, size) in [("root.img", 3 << 20), ("corten.efi", 1 << 20), ("loader.efi", 1 << 16)] {
        fs::write(folder.path().join(name), vec![7; size]).unwrap();
    }
    folder
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

fn look(folder: &Path) -> Content {
    content::look(&Disk::look_at(folder.join("disk.raw"), SectorSize::B512).unwrap())
}

#[test]
fn a_file_is_planned_written_and_not_written_over() {
    let folder = folder();
    let plan = installer(folder.path(), "plan", &["--size", "8589934592"]);
    assert!(plan.status.success(), "{}", said(&plan.stderr));
    assert!(said(&plan.stdout).contains("ROOT-B") && !folder.path().join("disk.raw").exists());

    let written = installer(folder.path(), "install", &["--size", "8589934592"]);
    assert!(written.status.success(), "{}", said(&written.stderr));
    assert_eq!(look(folder.path()), Content::Corten { version: Some("0.3.0".to_owned()) });

    let again = installer(folder.path(), "install", &[]);
    assert!(!again.status.success() && said(&again.stderr).contains("set wipe"), "{}", said(&again.stderr));
    let again = installer(folder.path(), "install", &["--wipe"]);
    assert!(again.status.success(), "{}", said(&again.stderr));
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = folder();
    File::create(folder.path().join("disk.raw")).unwrap().set_len(1 << 30).unwrap();
    let small = installer(folder.path(), "plan", &[]);
    assert!(!small.status.success() && said(&small.stderr).contains("needs"), "{}", said(&small.stderr));

    for name in ["disk.raw", "root.img"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let missing = installer(folder.path(), "install", &["--size", "8589934592"]);
    assert!(
        !missing.status.success() && said(&missing.stderr).contains("root.img"),
        "{}",
        said(&missing.stderr)
    );
}
