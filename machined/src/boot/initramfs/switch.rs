//! The change from the initramfs to the real root.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use camino::Utf8Path;
use corten_sys::mount;

use super::InitramfsError;
use crate::boot::handover::Handover;
use crate::boot::mounts;

const MACHINED: &str = "/usr/bin/machined";

/// Makes `root` the root directory, with the pseudo file systems in it, and becomes machined there.
pub(super) fn into(root: &Utf8Path, handover: &Handover) -> Result<Infallible, InitramfsError> {
    for mounted in mounts::base() {
        let target = root.join(mounted.target.as_str().trim_start_matches('/'));
        mount::move_mount(&mounted.target, &target)?;
    }
    let step = |step| move |source| InitramfsError::Switch { step, source };
    // It is memory that nobody could ever free again.
    delete_initramfs().map_err(step("delete the initramfs"))?;
    std::env::set_current_dir(root).map_err(step("enter the root"))?;
    // pivot_root does not work on the initramfs: it cannot be unmounted.
    mount::move_mount(".".into(), "/".into())?;
    std::os::unix::fs::chroot(".").map_err(step("change the root"))?;
    std::env::set_current_dir("/").map_err(step("enter the root"))?;
    let error = std::process::Command::new(MACHINED)
        .env_clear()
        .envs(handover.encode())
        // glibc's malloc keeps a heap per thread, and machined's threads mostly wait: mallopt(3).
        .env("MALLOC_ARENA_MAX", "2")
        .exec();
    Err(step("start /usr/bin/machined")(error))
}

fn delete_initramfs() -> io::Result<()> {
    let device = fs::symlink_metadata("/")?.dev();
    delete_in(Path::new("/"), device);
    Ok(())
}

/// Deletes what is on `device`, and leaves what is mounted there alone. What cannot be deleted stays.
fn delete_in(dir: &Path, device: u64) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.dev() != device => {}
            Ok(metadata) if metadata.is_dir() => {
                delete_in(&path, device);
                let _ = fs::remove_dir(&path);
            }
            _ => drop(fs::remove_file(&path)),
        }
    }
}
