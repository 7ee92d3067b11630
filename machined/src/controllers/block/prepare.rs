//! What a volume holds before anybody uses it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use corten_constants::paths;
use corten_sys::mount;

use crate::boot::machine_id;
use crate::images;

/// Directories that the ecosystem expects on EPHEMERAL, with their modes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("cache", 0o755),
    ("lib", 0o755),
    ("lib/cni", 0o700),
    ("lib/containerd", 0o711),
    ("lib/kubelet", 0o750),
    ("log", 0o755),
    ("log/containers", 0o755),
    ("log/pods", 0o755),
    ("opt/cni/bin", 0o755),
    ("tmp", 0o1777),
];

/// STATE gives the machine its identity.
pub(super) fn state(root: &Utf8Path) -> io::Result<()> {
    fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
    machine_id::ensure(root, "/etc".into()).map(drop)
}

/// EPHEMERAL gets its directories, and CNIs a place to install themselves.
pub(super) fn ephemeral(root: &Utf8Path) -> io::Result<()> {
    make_directories(root)?;
    if let Err(error) = images::forget_spooled(root.join("tmp").as_std_path()) {
        // Only room is lost.
        tracing::warn!(%error, "what an import left behind cannot be removed");
    }
    let plugins = root.join("opt/cni/bin");
    seed(paths::CNI_PLUGINS.into(), &plugins)?;
    let target = Utf8Path::new(paths::CNI_BIN);
    if !mount::is_mounted(target)? {
        mount::bind(&plugins, target).map_err(io::Error::other)?;
    }
    Ok(())
}

fn make_directories(root: &Utf8Path) -> io::Result<()> {
    for (name, mode) in DIRECTORIES {
        let path = root.join(name);
        fs::DirBuilder::new().recursive(true).mode(*mode).create(&path)?;
        // The umask took some, and an old directory may have other ones.
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
    }
    link("/run".into(), &root.join("run"))
}

/// A link for each plugin of the image. A file of the same name is somebody's own plugin and stays.
fn seed(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    for entry in entries {
        if let Ok(path) = Utf8PathBuf::from_path_buf(entry?.path())
            && let Some(name) = path.file_name()
        {
            link(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// Makes or renews a link; anything else that is there stays.
fn link(target: &Utf8Path, path: &Utf8Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_symlink() => return Ok(()),
        Ok(_) if fs::read_link(path)? == target.as_std_path() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    symlink(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_linked_and_own_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        let (image, bin) = (root.join("image"), root.join("bin"));
        fs::create_dir_all(&image).unwrap();
        fs::create_dir_all(&bin).unwrap();
        fs::write(image.join("bridge"), "").unwrap();
        fs::write(image.join("portmap"), "").unwrap();
        fs::write(bin.join("portmap"), "mine").unwrap();
        symlink("/old/place", bin.join("bridge")).unwrap();
        seed(&image, &bin).unwrap();
        seed(&image, &bin).unwrap();
        assert_eq!(fs::read_link(bin.join("bridge")).unwrap(), image.join("bridge"));
        assert_eq!(fs::read_to_string(bin.join("portmap")).unwrap(), "mine");
    }

    #[test]
    fn directories_have_their_modes_whatever_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        make_directories(root).unwrap();
        make_directories(root).unwrap();
        let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("tmp"), mode("lib/kubelet"), mode("opt/cni/bin")), (0o1777, 0o750, 0o755));
        assert_eq!(fs::read_link(root.join("run")).unwrap().to_str(), Some("/run"));
    }
}
