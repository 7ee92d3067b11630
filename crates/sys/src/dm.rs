//! Device-mapper by its ioctls: verity targets, and the removal of what is left at shutdown.
//!
//! The request is `struct dm_ioctl` of `linux/dm-ioctl.h`, followed by the targets; the kernel answers in place.

#![expect(unsafe_code, reason = "ioctl")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use camino::Utf8PathBuf;

const CONTROL: &str = "/dev/mapper/control";
/// Bytes of `struct dm_ioctl` before its data.
const HEADER: usize = 312;
/// Room for the longest answer that we ask for.
const BUFFER: usize = 16 * 1024;
/// `DM_READONLY_FLAG`.
const READ_ONLY: u32 = 1;

/// What was tried, on which device.
#[derive(Debug, thiserror::Error)]
pub enum DmError {
    /// The device-mapper is not there.
    #[error("open {CONTROL}")]
    Open {
        /// Cause.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("{action} device-mapper device {name}")]
    Call {
        /// What was asked for.
        action: &'static str,
        /// The device's name.
        name: String,
        /// Cause.
        source: io::Error,
    },
    /// A name or a table does not fit.
    #[error("the table of device-mapper device {name} is too long")]
    TooLong {
        /// The device's name.
        name: String,
    },
}

/// What a block that does not match its hash does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorruption {
    /// The machine restarts: with a corrupt root nothing that runs can be trusted, and the boot loader may have another
    /// slot.
    Restart,
    /// The read fails.
    Error,
}

/// A read-only device whose blocks are checked against a hash tree on the same device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verity {
    /// Block device with the data and, behind it, the superblock and the tree.
    pub device: Utf8PathBuf,
    /// Blocks of data.
    pub data_blocks: u64,
    /// Block at which the hash tree starts, counted in hash blocks from the start of the device.
    pub hash_start: u64,
    /// Bytes per block, for data and hashes alike.
    pub block_size: u32,
    /// Root hash, hexadecimal.
    pub root_hash: String,
    /// Salt, hexadecimal; empty for none.
    pub salt: String,
    /// What a block that does not match does.
    pub on_corruption: OnCorruption,
}

impl Verity {
    /// The target's parameters: `Documentation/admin-guide/device-mapper/verity.rst`.
    fn parameters(&self) -> String {
        let Self { device, data_blocks, hash_start, block_size, root_hash, salt, on_corruption } = self;
        let salt = if salt.is_empty() { "-" } else { salt };
        let optional = match on_corruption {
            OnCorruption::Restart => "1 restart_on_corruption",
            OnCorruption::Error => "0",
        };
        format!(
            "1 {device} {device} {block_size} {block_size} {data_blocks} {hash_start} sha256 {root_hash} {salt} \
             {optional}"
        )
    }

    fn sectors(&self) -> u64 {
        self.data_blocks * u64::from(self.block_size) / 512
    }
}

/// The control device.
#[derive(Debug)]
pub struct DeviceMapper(File);

impl DeviceMapper {
    /// Opens the control device. devtmpfs makes its node, also before the module is loaded.
    pub fn open() -> Result<Self, DmError> {
        let opened = OpenOptions::new().read(true).write(true).open(CONTROL);
        opened.map(Self).map_err(|source| DmError::Open { source })
    }

    /// Makes and activates a verity device; answers its node, `/dev/dm-0` for example.
    pub fn create_verity(&self, name: &str, verity: &Verity) -> Result<Utf8PathBuf, DmError> {
        let created = self.call(Action::Create, name, READ_ONLY, &[])?;
        let table = target(verity.sectors(), "verity", &verity.parameters());
        let loaded = self
            .call(Action::Load, name, READ_ONLY, &table)
            .and_then(|_| self.call(Action::Resume, name, READ_ONLY, &[]));
        if let Err(e) = loaded {
            let _ = self.remove(name);
            return Err(e);
        }
        Ok(format!("/dev/dm-{}", minor(number::<8>(&created, 40).map_or(0, u64::from_ne_bytes))).into())
    }

    /// Removes a device that nobody uses.
    pub fn remove(&self, name: &str) -> Result<(), DmError> {
        self.call(Action::Remove, name, 0, &[]).map(drop)
    }

    /// Names of all devices.
    pub fn list(&self) -> Result<Vec<String>, DmError> {
        Ok(names(&self.call(Action::List, "", 0, &[])?))
    }

    fn call(&self, action: Action, name: &str, flags: u32, table: &[u8]) -> Result<Vec<u8>, DmError> {
        let Some(mut request) = request(name, flags, table) else {
            return Err(DmError::TooLong { name: name.to_owned() });
        };
        // SAFETY: the buffer is BUFFER bytes, as its own size field says; the kernel stays within that size.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), action.code(), request.as_mut_ptr()) };
        if result < 0 {
            let source = io::Error::last_os_error();
            return Err(DmError::Call { action: action.verb(), name: name.to_owned(), source });
        }
        Ok(request)
    }
}

#[derive(Debug, Clone, Copy)]
enum Action {
    List = 2,
    Create = 3,
    Remove = 4,
    Resume = 6,
    Load = 9,
}

impl Action {
    /// `_IOWR(0xfd, action, struct dm_ioctl)`.
    fn code(self) -> libc::Ioctl {
        0xC138_FD00 | self as libc::Ioctl
    }

    fn verb(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Resume => "activate",
            Self::Load => "load the table of",
        }
    }
}

/// The whole request; `None` when something does not fit.
fn request(name: &str, flags: u32, table: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0_u8; BUFFER];
    let size = u32::try_from(BUFFER).ok()?;
    let start = u32::try_from(HEADER).ok()?;
    let targets = u32::from(!table.is_empty());
    // version[3], data_size, data_start, target_count, open_count, flags
    for (index, word) in [4, 0, 0, size, start, targets, 0, flags].into_iter().enumerate() {
        bytes.get_mut(index * 4..index * 4 + 4)?.copy_from_slice(&word.to_ne_bytes());
    }
    let room = 127;
    if name.len() > room {
        return None;
    }
    bytes.get_mut(48..48 + name.len())?.copy_from_slice(name.as_bytes());
    bytes.get_mut(HEADER..HEADER + table.len())?.copy_from_slice(table);
    Some(bytes)
}

/// `struct dm_target_spec` and its parameters, padded to eight bytes.
fn target(sectors: u64, kind: &str, parameters: &str) -> Vec<u8> {
    let mut bytes = vec![0_u8; 40];
    bytes[8..16].copy_from_slice(&sectors.to_ne_bytes());
    bytes[24..24 + kind.len()].copy_from_slice(kind.as_bytes());
    bytes.extend(parameters.as_bytes());
    // At least one terminating zero.
    bytes.resize((bytes.len() + 1).next_multiple_of(8), 0);
    bytes
}

/// The list of `struct dm_name_list`: device number, offset of the next entry (zero in the last), name.
fn names(answer: &[u8]) -> Vec<String> {
    let mut result = Vec::new();
    let mut at = HEADER;
    while let (Some(device), Some(next)) = (number::<8>(answer, at), number::<4>(answer, at + 8)) {
        if u64::from_ne_bytes(device) == 0 {
            break;
        }
        let text = answer.get(at + 12..).unwrap_or_default().split(|byte| *byte == 0).next();
        result.push(String::from_utf8_lossy(text.unwrap_or_default()).into_owned());
        match usize::try_from(u32::from_ne_bytes(next)) {
            Ok(next) if next > 0 => at += next,
            _ => break,
        }
    }
    result
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Minor number in the kernel's `huge_encode_dev` form.
fn minor(device: u64) -> u64 {
    (device & 0xff) | (device >> 12 & 0xf_ff00)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verity_table_names_the_tree_behind_the_data() {
        let verity = Verity {
            device: "/dev/vda3".into(),
            data_blocks: 100,
            hash_start: 101,
            block_size: 4096,
            root_hash: "ab".repeat(32),
            salt: String::new(),
            on_corruption: OnCorruption::Restart,
        };
        let hash = "ab".repeat(32);
        assert_eq!(
            verity.parameters(),
            format!("1 /dev/vda3 /dev/vda3 4096 4096 100 101 sha256 {hash} - 1 restart_on_corruption")
        );
        assert_eq!(verity.sectors(), 800);
    }

    #[test]
    fn a_target_is_padded_and_says_its_length() {
        let bytes = target(800, "verity", "1234567");
        assert_eq!(bytes.len(), 48);
        assert_eq!(&bytes[24..31], b"verity\0");
        assert_eq!(u64::from_ne_bytes(bytes[8..16].try_into().unwrap()), 800);
        assert_eq!(target(1, "x", "12345678").len(), 56, "room for the terminating zero");
    }

    #[test]
    fn names_are_read_until_the_last_entry() {
        let mut answer = vec![0_u8; HEADER];
        for (next, name) in [(24_u32, b"root\0\0\0\0\0\0\0\0"), (0, b"data\0\0\0\0\0\0\0\0")] {
            answer.extend(7_u64.to_ne_bytes());
            answer.extend(next.to_ne_bytes());
            answer.extend(name);
        }
        assert_eq!(names(&answer), ["root", "data"]);
        assert!(names(&vec![0; BUFFER]).is_empty());
    }

    #[test]
    fn minors_beyond_a_byte_are_put_together() {
        assert_eq!(minor(0xfd05), 5);
        assert_eq!(minor(0x10_fd05), 0x105);
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        assert!(request(&"x".repeat(128), 0, &[]).is_none());
        assert!(request("root", 0, &vec![0; BUFFER]).is_none());
    }
}
