//! The EFI partition while it is worked on: the boot loader's entries, and the changes that survive a power cut.
//!
//! It is mounted while somebody works on it and unmounted after that, and read-only for those who only look, so that a crash
//! finds it clean; a transfer that takes its time shares the mount with whoever looks meanwhile. A new file is written
//! beside its place, synced and renamed; with `dirsync` a rename puts the new name on the disk before it takes the old
//! one away (`vfat_rename` in the kernel's `fs/fat/namei_vfat.c`), so there is always at least one of them. After a power
//! cut there may be two, for the same clusters; before it is mounted, the older one is taken away
//! ([`installer::esp::untangle`]).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use camino::{Utf8Path, Utf8PathBuf};
use corten_constants::paths;
use corten_sys::mount::{self, Flags, Mount, MountError};
use installer::device::{Device as _, Disk, SectorSize};
use installer::entry::EntryName;
use installer::esp::{ENTRIES, INCOMING};
use object::read::pe::PeFile64;
use object::{Object as _, ObjectSection as _, ReadCache};

use super::slots::BootEntry;
use crate::boot::cmdline::{Cmdline, RootHash};

/// What was tried with the EFI partition.
#[derive(Debug, thiserror::Error)]
pub enum EspError {
    /// It cannot be mounted.
    #[error("mount the EFI partition")]
    Mount(#[from] MountError),
    /// It cannot be changed under somebody's eyes.
    #[error("the EFI partition is being looked at")]
    LookedAt,
    /// A file on it.
    #[error("{doing} {path} on the EFI partition")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: String,
        /// Cause.
        source: io::Error,
    },
}

/// What it is mounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    /// To look: nothing is written, not even that it was mounted.
    Look,
    /// To change something.
    Write,
}

/// The mounted EFI partition. The last one that is dropped unmounts.
#[derive(Debug, Clone)]
pub struct Esp {
    root: Utf8PathBuf,
    _mounted: Option<Arc<Mounted>>,
}

/// Keeps it mounted.
#[derive(Debug)]
struct Mounted(Access);

/// The mount that somebody holds.
static MOUNTED: Mutex<Weak<Mounted>> = Mutex::new(Weak::new());

impl Esp {
    /// Mounts the partition at `device` to change it, unless it is mounted.
    ///
    /// # Errors
    /// When it is no FAT file system, or the kernel refuses: its driver is not there, or somebody is looking.
    pub fn mount(device: &Utf8Path) -> Result<Self, EspError> {
        Self::shared(device, Access::Write)
    }

    /// Mounts the partition at `device` to look at it, unless it is mounted.
    ///
    /// # Errors
    /// When it is no FAT file system, or the kernel refuses: its driver is not there.
    pub fn look(device: &Utf8Path) -> Result<Self, EspError> {
        Self::shared(device, Access::Look)
    }

    fn shared(device: &Utf8Path, access: Access) -> Result<Self, EspError> {
        let root = Utf8PathBuf::from(paths::ESP);
        let mut shared = MOUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        let mounted = match shared.upgrade() {
            Some(mounted) if mounted.0 >= access => mounted,
            Some(_) => return Err(EspError::LookedAt),
            None => Arc::new(Mounted(mount(device, &root, access)?)),
        };
        *shared = Arc::downgrade(&mounted);
        Ok(Self { root, _mounted: Some(mounted) })
    }

    /// A folder that is laid out like an EFI partition, for tests.
    #[cfg(test)]
    fn at(root: &Utf8Path) -> Self {
        Self { root: root.to_owned(), _mounted: None }
    }

    /// The kernel images of ours. What is not named like one, or does not say its root, is somebody else's.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn entries(&self) -> Result<Vec<BootEntry>, EspError> {
        let dir = self.dir();
        let names = fs::read_dir(&dir).map_err(|source| file("read", ENTRIES, source))?;
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names
            .filter_map(|name| {
                let root_hash = root_hash(&dir.join(&name))?;
                Some(BootEntry { name: name.parse().ok()?, root_hash })
            })
            .collect())
    }

    /// A fresh file for a kernel image that comes in.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn incoming(&self) -> Result<File, EspError> {
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.dir().join(INCOMING));
        open.map_err(|source| file("make", INCOMING, source))
    }

    /// The kernel image that came in, to go on with it or to read it back.
    ///
    /// # Errors
    /// When there is none.
    pub fn open_incoming(&self) -> Result<File, EspError> {
        let open = OpenOptions::new().read(true).write(true).open(self.dir().join(INCOMING));
        open.map_err(|source| file("open", INCOMING, source))
    }

    /// The root that the kernel image that came in asks for; `None` when it is not there or names none.
    pub fn incoming_root_hash(&self) -> Option<RootHash> {
        root_hash(&self.dir().join(INCOMING))
    }

    /// Makes the kernel image that came in an entry.
    ///
    /// # Errors
    /// When it is not there or the file system refuses.
    pub fn install(&self, name: &EntryName) -> Result<(), EspError> {
        self.open_incoming()?.sync_all().map_err(|source| file("sync", INCOMING, source))?;
        self.rename_file(INCOMING, &name.to_string())
    }

    /// Gives an entry another name.
    ///
    /// # Errors
    /// When the file system refuses; the entry has its old name then.
    pub fn rename(&self, from: &EntryName, to: &EntryName) -> Result<(), EspError> {
        self.rename_file(&from.to_string(), &to.to_string())
    }

    /// Takes an entry away. One that is not there is fine.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self, name: &EntryName) -> Result<(), EspError> {
        let name = name.to_string();
        match fs::remove_file(self.dir().join(&name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(file("remove", &name, source)),
            _ => self.sync_dir(),
        }
    }

    /// Bytes that are free.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn free(&self) -> Result<u64, EspError> {
        let stat = rustix::fs::statvfs(self.root.as_std_path());
        let stat = stat.map_err(|source| file("measure", ENTRIES, source.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Bytes that come free when these entries go, and what a transfer before left: it is written over.
    pub fn taken<'a>(&self, entries: impl IntoIterator<Item = &'a EntryName>) -> u64 {
        let names = entries.into_iter().map(ToString::to_string).chain([INCOMING.to_owned()]);
        // In whole clusters. One that is not there takes nothing.
        let taken = names.filter_map(|name| Some(fs::metadata(self.dir().join(name)).ok()?.blocks() * 512));
        taken.sum()
    }

    fn rename_file(&self, from: &str, to: &str) -> Result<(), EspError> {
        let dir = self.dir();
        fs::rename(dir.join(from), dir.join(to)).map_err(|source| file("rename", from, source))?;
        self.sync_dir()
    }

    /// On FAT, syncing a directory also flushes the disk's cache: `fat_file_fsync`.
    fn sync_dir(&self) -> Result<(), EspError> {
        let synced = File::open(self.dir()).and_then(|dir| dir.sync_all());
        synced.map_err(|source| file("sync", ENTRIES, source))
    }

    fn dir(&self) -> PathBuf {
        self.root.join(ENTRIES).into()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if unmount(paths::ESP.into()).is_err() {
            tracing::warn!("the EFI partition is busy and stays mounted until it is needed again");
        }
    }
}

/// Mounts it; one that was busy when it should have gone is taken over. Answers what it is mounted for.
fn mount(device: &Utf8Path, root: &Utf8Path, access: Access) -> Result<Access, EspError> {
    fs::create_dir_all(root).map_err(|source| file("make", root.as_str(), source))?;
    if let Some(left) = left_over(root)
        && let Err(busy) = unmount(root)
    {
        return if left >= access { Ok(left) } else { Err(busy.into()) };
    }
    if access == Access::Write {
        untangle(device)?;
    }
    mount_of(device, root, access).mount()?;
    Ok(access)
}

fn mount_of(device: &Utf8Path, root: &Utf8Path, access: Access) -> Mount {
    let common = Flags::MS_NOSUID | Flags::MS_NODEV | Flags::MS_NOEXEC | Flags::MS_NOATIME;
    let flags = match access {
        Access::Look => Flags::MS_RDONLY,
        Access::Write => Flags::MS_DIRSYNC,
    };
    Mount {
        source: device.to_string(),
        target: root.to_owned(),
        fstype: "vfat",
        flags: common | flags,
        options: "umask=0077".to_owned(),
    }
}

/// What is mounted already, and for what.
fn left_over(root: &Utf8Path) -> Option<Access> {
    let found = mount::table().ok()?.into_iter().rfind(|entry| entry.target == root)?;
    Some(access_of(&found.options))
}

fn access_of(options: &str) -> Access {
    match options.split(',').any(|option| option == "ro") {
        true => Access::Look,
        false => Access::Write,
    }
}

/// A process that is just being started has our files open until it runs its program, so it may take a moment.
fn unmount(root: &Utf8Path) -> Result<(), MountError> {
    for _ in 1..ATTEMPTS {
        if mount::unmount(root).is_ok() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    mount::unmount(root)
}

/// Undoes what a rename left that was cut off.
fn untangle(device: &Utf8Path) -> Result<(), EspError> {
    // The size of sectors does not matter: a single byte is written at a time.
    let disk = Disk::open(device, SectorSize::default());
    let names = disk.and_then(|disk| installer::esp::untangle(&disk, 0..disk.size()));
    for name in names.map_err(|source| file("look for names that were left over in", ENTRIES, source))? {
        tracing::warn!(name, "a rename was cut off: the name that was left over is gone");
    }
    Ok(())
}

/// To unmount, and the time between two of them.
const ATTEMPTS: u32 = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

fn file(doing: &'static str, path: &str, source: io::Error) -> EspError {
    EspError::File { doing, path: path.to_owned(), source }
}

/// Root hash on the command line inside a unified kernel image; `None` when it has none.
fn root_hash(path: &Path) -> Option<RootHash> {
    let cache = ReadCache::new(File::open(path).ok()?);
    let image = PeFile64::parse(&cache).ok()?;
    let section = image.section_by_name(".cmdline")?;
    let text = std::str::from_utf8(section.data().ok()?).ok()?;
    Cmdline::parse(text.trim_end_matches('\0')).root_hash().ok()
}

#[cfg(test)]
pub(super) mod testing {
    //! Folders that are laid out like an EFI partition.

    use super::*;

    /// With kernel images of these names, each with a root hash of one digit.
    pub(crate) fn fake(files: &[(&str, char)]) -> (tempfile::TempDir, Esp) {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        fs::create_dir_all(root.join(ENTRIES)).unwrap();
        let esp = Esp::at(&root);
        for (name, digit) in files {
            fs::write(esp.dir().join(name), kernel_image(&digit.to_string().repeat(64))).unwrap();
        }
        (dir, esp)
    }

    /// The names of all files, in order.
    pub(crate) fn names(esp: &Esp) -> Vec<String> {
        let files = fs::read_dir(esp.dir()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// As little as a PE image can be, with a command line.
    fn kernel_image(root_hash: &str) -> Vec<u8> {
        let cmdline = format!("corten.roothash={root_hash}");
        let mut image = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(60, &64_u32.to_le_bytes());
        put(64, b"PE\0\0\x64\x86\x01");
        put(84, &112_u16.to_le_bytes()); // of the optional header
        put(88, &0x20b_u16.to_le_bytes());
        put(200, b".cmdline");
        let length = u32::try_from(cmdline.len()).unwrap().to_le_bytes();
        for (at, bytes) in [(208, length), (212, [0, 16, 0, 0]), (216, length), (220, [0, 2, 0, 0])] {
            put(at, &bytes);
        }
        image.extend(cmdline.bytes());
        image
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::testing::{fake, names};
    use super::*;

    #[test]
    fn an_image_that_came_in_becomes_an_entry_and_is_blessed() {
        let (_dir, esp) = fake(&[]);
        let name: EntryName = "corten-000002-0.2.0+3.efi".parse().unwrap();
        esp.incoming().unwrap().write_all(b"kernel").unwrap();
        esp.install(&name).unwrap();
        assert!(esp.open_incoming().is_err(), "it has its name now");
        esp.rename(&name, &name.blessed()).unwrap();
        assert_eq!(names(&esp), ["corten-000002-0.2.0.efi"]);
        esp.remove(&name.blessed()).unwrap();
        esp.remove(&name.blessed()).unwrap();
    }

    #[test]
    fn whoever_only_looks_mounts_read_only() {
        let flags = |access| mount_of("/dev/vda1".into(), "/efi".into(), access).flags;
        assert!(flags(Access::Look).contains(Flags::MS_RDONLY));
        assert!(!flags(Access::Write).contains(Flags::MS_RDONLY));
        assert!(flags(Access::Write).contains(Flags::MS_DIRSYNC));
        assert_eq!(access_of("ro,nosuid,relatime"), Access::Look);
        assert_eq!(access_of("rw,errors=remount-ro"), Access::Write);
        assert!(Access::Look < Access::Write, "who may write may look");
    }

    #[test]
    fn what_will_go_is_counted_and_nothing_else() {
        let (old, running): (EntryName, EntryName) =
            ("corten-000001-0.1.0.efi".parse().unwrap(), "corten-000002-0.2.0.efi".parse().unwrap());
        let (_dir, esp) = fake(&[]);
        for (name, length) in [(&old, 1 << 20), (&running, 2 << 20)] {
            fs::write(esp.dir().join(name.to_string()), vec![1; length]).unwrap();
        }
        assert_eq!(esp.taken([&old]) >> 20, 1);
        esp.incoming().unwrap().write_all(&vec![1; 4 << 20]).unwrap();
        assert_eq!((esp.taken([&old]) >> 20, esp.taken([]) >> 20), (5, 4));
    }

    #[test]
    fn files_that_are_no_kernel_images_of_ours_are_passed_over() {
        let (_dir, esp) = fake(&[]);
        for name in ["linux.efi", "corten-000001-0.1.0.efi", "notes.txt"] {
            fs::write(esp.dir().join(name), "MZ").unwrap();
        }
        assert_eq!(esp.entries().unwrap(), []);
    }
}
