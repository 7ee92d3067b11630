//! The install medium: a disc, or a stick that the image was written to. Found by the label of its file system.
//!
//! Its root image is a file in that file system, and becomes a block device by way of a loop device. The medium stays
//! mounted below `/run`, which moves along into the real root: the installer reads the rest of it there.

use camino::{Utf8Path, Utf8PathBuf};
use corten_sys::block::loopdev::LoopDevice;
use corten_sys::block::{self, iso9660};
use corten_sys::mount::{Flags, Mount};

use super::InitramfsError;
use super::search::{Look, Search};

/// Volume label of our media.
const LABEL: &str = "CORTEN";
/// Where it is mounted, before and after the change of roots.
pub const MOUNT_POINT: &str = "/run/corten/medium";
/// The root image in it.
const IMAGE: &str = "corten/root.img";

/// Looks until a medium of ours is there. A drive may need seconds until it can read its disc.
pub(super) fn find(search: &Search<'_>) -> Result<Utf8PathBuf, InitramfsError> {
    let late = |late: super::search::TooLate| InitramfsError::NoMedium {
        label: LABEL,
        seconds: late.seconds,
        seen: late.seen,
    };
    search.run(|| choose(&candidates(), iso9660::label)).map_err(late)
}

/// Discs first, then whole disks, then partitions: a stick written with `dd` is one as a whole.
fn candidates() -> Vec<Utf8PathBuf> {
    let disks = block::disks();
    let whole = block::optical_drives().into_iter().chain(disks.clone()).map(|disk| disk.path);
    whole.chain(disks.iter().flat_map(block::partition_nodes)).collect()
}

/// The first device with our label, or what each of them is instead.
fn choose(
    devices: &[Utf8PathBuf],
    label: impl Fn(&Utf8Path) -> std::io::Result<Option<String>>,
) -> Look<Utf8PathBuf> {
    let mut seen = Vec::new();
    for device in devices {
        match label(device) {
            Ok(Some(label)) if label == LABEL => return Ok(device.clone()),
            Ok(Some(label)) => seen.push(format!("{device} is labelled {label:?}")),
            Ok(None) => seen.push(format!("{device} has no ISO 9660 file system")),
            Err(error) => seen.push(format!("{device} cannot be read ({error})")),
        }
    }
    Err(seen)
}

/// Mounts the medium and makes its root image a block device.
pub(super) fn attach(device: &Utf8Path) -> Result<Utf8PathBuf, InitramfsError> {
    let mount = Mount {
        source: device.to_string(),
        target: MOUNT_POINT.into(),
        fstype: "iso9660",
        flags: Flags::MS_RDONLY | Flags::MS_NODEV | Flags::MS_NOSUID | Flags::MS_NOEXEC,
        // Joliet's names would need a table of characters, and say the same.
        options: "nojoliet".to_owned(),
    };
    let device = device.to_string();
    mount.mount().map_err(|source| InitramfsError::MountMedium { device, source })?;
    let image = Utf8Path::new(MOUNT_POINT).join(IMAGE);
    let attached = LoopDevice::attach_read_only(&image);
    let attached =
        attached.map_err(|source| InitramfsError::AttachImage { image: image.into_string(), source })?;
    Ok(attached.keep())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn check(devices: &[(&str, io::Result<Option<&str>>)]) -> Look<Utf8PathBuf> {
        let paths: Vec<_> = devices.iter().map(|(path, _)| Utf8PathBuf::from(*path)).collect();
        choose(&paths, |path| {
            let (_, label) = devices.iter().find(|(known, _)| path == *known).unwrap();
            match label {
                Ok(label) => Ok(label.map(str::to_owned)),
                Err(error) => Err(io::Error::from(error.kind())),
            }
        })
    }

    #[test]
    fn the_first_device_with_our_label_is_the_medium() {
        let devices =
            [("/dev/sr0", Ok(Some("OTHER"))), ("/dev/sda", Ok(Some("CORTEN"))), ("/dev/sda1", Ok(None))];
        assert_eq!(check(&devices), Ok("/dev/sda".into()));
    }

    #[test]
    fn without_one_every_device_is_told_with_what_it_is() {
        let missing = Err(io::Error::from(io::ErrorKind::NotFound));
        let devices = [("/dev/sr0", missing), ("/dev/vda", Ok(None)), ("/dev/sdb", Ok(Some("DEBIAN 13")))];
        assert_eq!(
            check(&devices).unwrap_err(),
            [
                "/dev/sr0 cannot be read (entity not found)",
                "/dev/vda has no ISO 9660 file system",
                "/dev/sdb is labelled \"DEBIAN 13\""
            ]
        );
    }
}
