//! Block devices: which there are, how they are partitioned, and what is on them.
//!
//! Partitions are found by what the partition table on the disk says (label, unique id), never by number or device
//! name. Nothing here writes to a disk but [`discard`], [`discard_range`] and [`zero_out`].

#![expect(unsafe_code, reason = "ioctl")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use camino::{Utf8Path, Utf8PathBuf};

pub mod gpt;
mod identity;
pub mod iso9660;
pub mod loopdev;
pub mod probe;

const SYS_CLASS: &str = "/sys/class/block";
/// Sizes and starts in sysfs are in these units, whatever the disk's own sectors are.
const SECTOR: u64 = 512;

/// A disk as the kernel sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disk {
    /// Kernel name, `vda` for example.
    pub name: String,
    /// Device node.
    pub path: Utf8PathBuf,
    /// Bytes.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector_size: u64,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// Whether it is a spinning disk.
    pub rotational: bool,
    /// Model, as the disk tells it.
    pub model: String,
    /// Serial number, as the disk tells it.
    pub serial: String,
    /// World wide id, as the kernel gives it: `naa.5000c500…`, `eui.…`, `nvme.…`; empty when the disk has none.
    pub wwid: String,
    /// Its place on the bus, below `/sys/devices`.
    pub bus_path: String,
    /// `virtio`, `nvme`, `sata`, `scsi`, `usb`, `mmc`, or empty.
    pub transport: String,
    /// Names below `/dev/disk/by-id` that udev would give it.
    pub ids: Vec<String>,
}

/// Every real disk: no partitions, loop, RAM or device-mapper devices, nothing without a medium.
pub fn disks() -> Vec<Disk> {
    names(|name| !is_virtual(name))
        .iter()
        .filter_map(|name| disk(name))
        .filter(|disk| disk.size > 0)
        .collect()
}

/// Every drive for discs, with a disc in it or not.
pub fn optical_drives() -> Vec<Disk> {
    names(|name| name.starts_with("sr")).iter().filter_map(|name| disk(name)).collect()
}

/// Nodes of the partitions that the kernel knows on a disk.
pub fn partition_nodes(disk: &Disk) -> Vec<Utf8PathBuf> {
    let dir = Utf8Path::new(SYS_CLASS).join(&disk.name);
    names(|name| dir.join(name).join("partition").exists()).iter().map(|name| node(name)).collect()
}

/// One disk by its kernel name, virtual ones too. `None` for a partition, and for what is hidden: one of the paths to an NVMe
/// namespace, `nvme0c0n1` beside `nvme0n1`, which has no device node (`Documentation/ABI/stable/sysfs-block`).
pub fn disk(name: &str) -> Option<Disk> {
    let dir = Utf8Path::new(SYS_CLASS).join(name);
    let is_hidden = number(&dir.join("hidden")) == Some(1);
    if !dir.exists() || dir.join("partition").exists() || is_hidden {
        return None;
    }
    let identity = identity::read(name, &dir);
    Some(Disk {
        name: name.to_owned(),
        path: node(name),
        size: number(&dir.join("size")).unwrap_or(0) * SECTOR,
        sector_size: number(&dir.join("queue/logical_block_size")).unwrap_or(SECTOR),
        read_only: number(&dir.join("ro")) == Some(1),
        removable: number(&dir.join("removable")) == Some(1),
        rotational: number(&dir.join("queue/rotational")) == Some(1),
        model: identity.model,
        serial: identity.serial,
        wwid: identity.wwid,
        bus_path: identity.bus_path,
        transport: identity.transport,
        ids: identity.ids,
    })
}

/// Device node of partition `number` of a disk.
pub fn partition_node(disk: &Disk, number: u32) -> Utf8PathBuf {
    node(&partition_name(&disk.name, number))
}

/// Whether the kernel knows partition `number` of a disk.
pub fn has_partition(disk: &Disk, number: u32) -> bool {
    Utf8Path::new(SYS_CLASS).join(partition_name(&disk.name, number)).exists()
}

/// Tells the kernel about a partition that was written to the table while others are in use (`BLKPG`).
pub fn announce_partition(disk: &Disk, number: u32, start: u64, size: u64) -> io::Result<()> {
    let file = File::open(&disk.path)?;
    let to_signed = |n| i64::try_from(n).map_err(|_| io::ErrorKind::InvalidInput);
    let (start, length) = (to_signed(start)?, to_signed(size)?);
    let pno = i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut partition = BlkpgPartition { start, length, pno, devname: [0; 64], volname: [0; 64] };
    let size = i32::try_from(size_of::<BlkpgPartition>()).unwrap_or(0);
    let argument =
        BlkpgArgument { op: BLKPG_ADD_PARTITION, flags: 0, datalen: size, data: &raw mut partition };
    // SAFETY: the argument and the partition that it points to outlive the call, in the kernel's layout.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), BLKPG, &raw const argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the kernel forget the partitions of a disk and read its table again (`BLKRRPART`). Refused when one is in use.
pub fn reread_partitions(disk: &Disk) -> io::Result<()> {
    let file = File::open(&disk.path)?;
    // SAFETY: takes no argument.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), BLKRRPART) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Tells a device that none of its blocks are in use. Devices that cannot discard answer an error.
pub fn discard(path: &Utf8Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let length = size(&file)?;
    discard_range(&file, 0..length)
}

/// Tells a device that the bytes of `range` are not needed any more. What is read there afterwards is up to the device:
/// check it. The range must be in whole sectors, and the file open for writing.
pub fn discard_range(file: &File, range: Range<u64>) -> io::Result<()> {
    let range = [range.start, range.end.saturating_sub(range.start)];
    // SAFETY: BLKDISCARD reads two 64-bit numbers, start and length.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), BLKDISCARD, range.as_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the bytes of `range` zero, by whatever is fastest on the device, else by writing. Returns when the device has
/// them. The range must be in whole sectors, and the file open for writing.
pub fn zero_out(file: &File, range: Range<u64>) -> io::Result<()> {
    let range = [range.start, range.end.saturating_sub(range.start)];
    // SAFETY: BLKZEROOUT reads two 64-bit numbers, start and length.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), BLKZEROOUT, range.as_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Bytes of an open device or file.
pub fn size(file: &File) -> io::Result<u64> {
    use std::io::{Seek, SeekFrom};
    let mut file = file;
    file.seek(SeekFrom::End(0))
}

const BLKRRPART: libc::Ioctl = 0x125f;
const BLKPG: libc::Ioctl = 0x1269;
const BLKPG_ADD_PARTITION: i32 = 1;
const BLKDISCARD: libc::Ioctl = 0x1277;
const BLKZEROOUT: libc::Ioctl = 0x127f;

/// `struct blkpg_partition` of `linux/blkpg.h`.
#[repr(C)]
struct BlkpgPartition {
    start: i64,
    length: i64,
    pno: i32,
    devname: [u8; 64],
    volname: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct BlkpgArgument {
    op: i32,
    flags: i32,
    datalen: i32,
    data: *mut BlkpgPartition,
}

/// Kernel names of the block devices that are `wanted`, sorted.
fn names(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(SYS_CLASS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| wanted(name))
        .collect();
    names.sort();
    names
}

fn is_virtual(name: &str) -> bool {
    ["loop", "ram", "dm-", "zram", "md", "nbd", "fd", "sr"].iter().any(|prefix| name.starts_with(prefix))
}

/// sysfs writes `!` for the slash in names such as `cciss/c0d0`.
fn node(name: &str) -> Utf8PathBuf {
    Utf8Path::new("/dev").join(name.replace('!', "/"))
}

/// A name that ends in a digit takes a `p` before the number: `nvme0n1p2`.
fn partition_name(disk: &str, number: u32) -> String {
    let separator = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    format!("{disk}{separator}{number}")
}

fn text(path: &Utf8Path) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn first_text(paths: &[Utf8PathBuf]) -> String {
    paths.iter().map(|path| text(path)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn number(path: &Utf8Path) -> Option<u64> {
    text(path).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_disks_that_end_in_a_digit_take_a_p() {
        assert_eq!(partition_name("vda", 3), "vda3");
        assert_eq!(partition_name("nvme0n1", 3), "nvme0n1p3");
        assert_eq!(node("cciss!c0d0"), "/dev/cciss/c0d0");
    }

    #[test]
    fn virtual_devices_are_not_disks() {
        assert!(["loop0", "dm-1", "zram0", "sr0"].into_iter().all(is_virtual));
        assert!(!["vda", "sda", "nvme0n1", "xvda"].into_iter().any(is_virtual));
    }
}
