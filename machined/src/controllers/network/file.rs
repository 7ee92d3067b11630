//! Files that controllers render.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Replaces a file, readable for all, when its content differs. A reader sees the old or the new content, never half of
/// it. Not synced: the files of this area are on tmpfs.
///
/// # Errors
/// What the file system says; the old file is still there then.
pub(crate) fn write_if_changed(path: &Path, content: &str) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|have| have == content.as_bytes()) {
        return Ok(false);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = Path::new(&name);
    fs::write(temporary, content)?;
    fs::set_permissions(temporary, fs::Permissions::from_mode(0o644))?;
    fs::rename(temporary, path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_only_replaced_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        assert!(write_if_changed(&path, "one").unwrap());
        assert!(!write_if_changed(&path, "one").unwrap());
        assert!(write_if_changed(&path, "two").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
