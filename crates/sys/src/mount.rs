//! Mounting, moving and unmounting, and the table of what is mounted.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::MntFlags;
pub use nix::mount::MsFlags as Flags;

/// What was tried, on which mount point.
#[derive(Debug, thiserror::Error)]
#[error("{action} {target}")]
pub struct MountError {
    action: &'static str,
    target: Utf8PathBuf,
    source: io::Error,
}

/// One file system and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Device, or a name for file systems without one.
    pub source: String,
    /// Mount point.
    pub target: Utf8PathBuf,
    /// Type of the file system.
    pub fstype: &'static str,
    /// Flags.
    pub flags: Flags,
    /// The file system's own options.
    pub options: String,
}

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Mount point.
    pub target: Utf8PathBuf,
    /// Type of the file system.
    pub fstype: String,
    /// Device or name.
    pub source: String,
    /// Options of the mount, comma separated.
    pub options: String,
}

impl Mount {
    /// A file system without device, named after its type.
    pub fn pseudo(fstype: &'static str, target: &str, flags: Flags, options: &str) -> Self {
        Self { source: fstype.to_owned(), target: target.into(), fstype, flags, options: options.to_owned() }
    }

    /// Makes the mount point when it is missing, and mounts.
    pub fn mount(&self) -> Result<(), MountError> {
        make_target(&self.target)?;
        let (source, options) = (Some(self.source.as_str()), Some(self.options.as_str()));
        nix::mount::mount(source, self.target.as_std_path(), Some(self.fstype), self.flags, options)
            .map_err(|e| failed("mount", &self.target, e))
    }
}

/// Shows `source` at `target` too.
pub fn bind(source: &Utf8Path, target: &Utf8Path) -> Result<(), MountError> {
    change("bind to", Some(source), target, Flags::MS_BIND)
}

/// Changes the flags of the mount at `target`, not those of its file system.
pub fn remount(target: &Utf8Path, flags: Flags) -> Result<(), MountError> {
    change("remount", None, target, Flags::MS_REMOUNT | Flags::MS_BIND | flags)
}

/// Makes the file system at `target` read-only, if nothing writes to it.
pub fn remount_read_only(target: &Utf8Path) -> Result<(), MountError> {
    change("remount read-only", None, target, Flags::MS_REMOUNT | Flags::MS_RDONLY)
}

/// Moves a mount, with everything below it.
pub fn move_mount(source: &Utf8Path, target: &Utf8Path) -> Result<(), MountError> {
    change("move a mount to", Some(source), target, Flags::MS_MOVE)
}

/// Lets mounts below `target` be seen in other namespaces, and theirs here.
pub fn make_shared(target: &Utf8Path) -> Result<(), MountError> {
    change("share", None, target, Flags::MS_REC | Flags::MS_SHARED)
}

/// Cuts `target` and everything below it off from other namespaces.
pub fn make_private(target: &Utf8Path) -> Result<(), MountError> {
    change("make private", None, target, Flags::MS_REC | Flags::MS_PRIVATE)
}

/// Unmounts; it fails while something uses the mount.
pub fn unmount(target: &Utf8Path) -> Result<(), MountError> {
    let flags = MntFlags::UMOUNT_NOFOLLOW;
    nix::mount::umount2(target.as_std_path(), flags).map_err(|e| failed("unmount", target, e))
}

/// Takes the mount out of sight at once, and unmounts when its last user is gone.
pub fn unmount_lazy(target: &Utf8Path) -> Result<(), MountError> {
    let flags = MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH;
    nix::mount::umount2(target.as_std_path(), flags).map_err(|e| failed("detach", target, e))
}

/// What is mounted in this namespace, in the order of mounting.
pub fn table() -> io::Result<Vec<MountEntry>> {
    Ok(parse_table(&fs::read_to_string("/proc/self/mountinfo")?))
}

/// Whether something is mounted exactly at `target`.
pub fn is_mounted(target: &Utf8Path) -> io::Result<bool> {
    Ok(table()?.iter().any(|entry| entry.target == target))
}

fn change(
    action: &'static str,
    source: Option<&Utf8Path>,
    target: &Utf8Path,
    flags: Flags,
) -> Result<(), MountError> {
    let source = source.map(Utf8Path::as_std_path);
    nix::mount::mount(source, target.as_std_path(), None::<&str>, flags, None::<&str>)
        .map_err(|e| failed(action, target, e))
}

fn make_target(target: &Utf8Path) -> Result<(), MountError> {
    if target.exists() {
        return Ok(());
    }
    let made = fs::create_dir_all(target);
    made.map_err(|source| MountError { action: "make mount point", target: target.to_owned(), source })
}

fn failed(action: &'static str, target: &Utf8Path, errno: nix::errno::Errno) -> MountError {
    MountError { action, target: target.to_owned(), source: errno.into() }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`; the optional fields end at the lone dash.
fn parse_table(text: &str) -> Vec<MountEntry> {
    text.lines().filter_map(parse_entry).collect()
}

fn parse_entry(line: &str) -> Option<MountEntry> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(4);
    let mut file_system = file_system.split(' ');
    Some(MountEntry {
        target: unescape(mount.next()?).into(),
        options: mount.next()?.to_owned(),
        fstype: file_system.next()?.to_owned(),
        source: unescape(file_system.next()?),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut result = text.to_owned();
    for (code, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        result = result.replace(code, plain);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_with_and_without_optional_fields_and_escapes() {
        let text = "21 1 254:0 / / ro,relatime shared:1 - squashfs /dev/dm-0 ro\n\
                    30 21 0:5 / /mnt/a\\040b rw,nosuid master:2 shared:7 - tmpfs tmp\\134fs rw,size=1k\n\
                    31 21 0:6 / /proc rw - proc proc rw\nnot a line\n";
        let table = parse_table(text);
        let targets: Vec<_> = table.iter().map(|entry| entry.target.as_str()).collect();
        assert_eq!(targets, ["/", "/mnt/a b", "/proc"]);
        assert_eq!(table[1].source, "tmp\\fs");
        assert_eq!((table[0].fstype.as_str(), table[0].options.as_str()), ("squashfs", "ro,relatime"));
    }

    #[test]
    fn this_process_has_a_root_mount() {
        assert!(is_mounted("/".into()).unwrap());
        assert!(!is_mounted("/no/such/mount".into()).unwrap());
    }
}
