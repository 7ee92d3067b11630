//! Writes a component's secret files: whole or not at all, readable by its user only.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::Path;

use crate::digest::sha256;

/// Writes `files` (name → content) into `dir`, which belongs to `uid` alone. A file that is the same already stays.
///
/// # Errors
/// The first file that could not be written; the ones before it are whole.
pub fn write(dir: &Path, uid: u32, files: &BTreeMap<String, String>) -> io::Result<()> {
    if !dir.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(dir.parent().unwrap_or(dir))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    chown(dir, Some(uid), Some(uid))?;
    for (name, content) in files {
        let path = dir.join(name);
        if fs::read_to_string(&path).is_ok_and(|have| have == *content) {
            continue;
        }
        replace(&path, content, 0o600, uid)?;
    }
    Ok(())
}

/// Replaces a file by writing beside it and renaming.
///
/// # Errors
/// What the file system says; the old file is still there then.
pub fn replace(path: &Path, content: &str, mode: u32, uid: u32) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(content.as_bytes())?;
    fs::set_permissions(&temporary, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    chown(&temporary, Some(uid), Some(uid))?;
    fs::rename(&temporary, path)
}

/// SHA-256 over names and contents, hexadecimal.
pub fn digest(files: &BTreeMap<String, String>) -> String {
    sha256(files.iter().flat_map(|(name, content)| [name, "\0", content]))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_secret_is_readable_by_its_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let uid = fs::metadata(dir.path()).unwrap().uid();
        let target = dir.path().join("etcd");
        write(&target, uid, &[("server.key".to_owned(), "secret".to_owned())].into()).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(target.join("server.key")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_leftover_of_a_torn_write_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let uid = fs::metadata(dir.path()).unwrap().uid();
        fs::write(dir.path().join("a.tmp"), "half").unwrap();
        replace(&dir.path().join("a"), "whole", 0o600, uid).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "whole");
    }
}
