//! Mounts, as the boot sequence uses them.

use std::fs;

use anyhow::{Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use corten_sys::mount::{self, Flags, Mount};

/// Mounting makes the mount point, flags hold, and moving and unmounting do what they say.
pub(super) fn mounts() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let dir = Utf8PathBuf::try_from(dir.path().to_path_buf())?;
    Mount::pseudo("tmpfs", dir.as_str(), Flags::MS_NOSUID, "mode=0755").mount()?;

    let (first, second, third) = (dir.join("a/b"), dir.join("second"), dir.join("third"));
    let sealed = Flags::MS_NOSUID | Flags::MS_NODEV | Flags::MS_NOEXEC;
    Mount::pseudo("tmpfs", first.as_str(), sealed, "mode=0700,size=1m").mount()?;
    let options = options_of(&first)?;
    ensure!(["nosuid", "nodev", "noexec"].iter().all(|flag| options.contains(flag)), "{options}");

    fs::write(first.join("file"), "text")?;
    fs::create_dir(&second)?;
    mount::bind(&first, &second)?;
    ensure!(fs::read_to_string(second.join("file"))? == "text");
    mount::remount(&second, Flags::MS_RDONLY | sealed)?;
    ensure!(fs::write(second.join("file"), "x").is_err(), "the bind mount is read-only");
    ensure!(fs::write(first.join("file"), "y").is_ok(), "the file system is not");

    fs::create_dir(&third)?;
    mount::move_mount(&second, &third)?;
    ensure!(!mount::is_mounted(&second)? && mount::is_mounted(&third)?);
    let open = fs::File::open(third.join("file"))?;
    ensure!(mount::unmount(&third).is_err(), "it is busy");
    mount::unmount_lazy(&third)?;
    drop(open);
    mount::unmount(&first)?;
    ensure!(!mount::is_mounted(&first)?);
    Ok(())
}

fn options_of(target: &Utf8Path) -> Result<String> {
    let table = mount::table()?;
    Ok(table.into_iter().find(|entry| entry.target == target).map(|entry| entry.options).unwrap_or_default())
}
