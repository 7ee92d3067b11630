//! The names in a folder of a FAT file system, with the place of each on the disk, so that a single name can be taken away
//! and its clusters stay as they are. Neither the kernel nor the `fatfs` crate can do that: both free the clusters.
//!
//! FAT16 and FAT32, as `esp::format` makes them ("FAT: General Overview of On-Disk Format", version 1.03). What is on a
//! disk may be damaged: nothing outside of the partition is read, and a folder that goes round in circles is an error. Nobody
//! may have the file system mounted meanwhile.

use std::io;
use std::ops::Range;

use crate::device::Device;

/// Bytes that a folder has at most: 65,536 slots are 2 MiB, and ours need one cluster.
const FOLDER_MAX: u64 = 2 << 20;
/// Bytes of a slot: one of those that make up a name.
const SLOT: usize = 32;
/// First byte of a slot that is free.
const FREE: u8 = 0xe5;
/// Attributes of a slot that holds a piece of a long name, and the bits that count for that.
const LONG: u8 = 0x0f;
const LONG_MASK: u8 = 0x3f;
const IS_FOLDER: u8 = 0x10;
const IS_LABEL: u8 = 0x08;
/// Where the characters of a piece of a long name are.
const CHARACTERS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// A FAT file system.
#[derive(Debug)]
pub(crate) struct Fat<'a, D: Device + ?Sized> {
    device: &'a D,
    range: Range<u64>,
    /// Where the first table begins, and whether its entries have 32 bits.
    pub(super) table: u64,
    wide: bool,
    /// The root folder: of fixed size on FAT16, a chain of clusters on FAT32.
    root: Range<u64>,
    pub(super) root_cluster: u32,
    /// Where cluster 2 begins.
    data: u64,
    cluster_size: u64,
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The long name if there is one.
    pub(crate) text: String,
    /// Where the content begins; 0 when there is none.
    pub(crate) cluster: u32,
    pub(crate) is_folder: bool,
    /// Where its slots are on the disk. The last one makes it a name.
    pub(crate) slots: Vec<u64>,
}

impl<'a, D: Device + ?Sized> Fat<'a, D> {
    /// Reads the boot sector of the file system in `range`.
    pub(crate) fn open(device: &'a D, range: Range<u64>) -> io::Result<Self> {
        let mut boot = [0; 512];
        device.read_at(&mut boot, range.start)?;
        let byte = |at: usize| u64::from(boot[at]);
        let short = |at: usize| byte(at) | byte(at + 1) << 8;
        let long = |at: usize| short(at) | short(at + 2) << 16;
        let (sector, per_cluster) = (short(11), byte(13));
        if boot[510..] != [0x55, 0xaa] || !(512..=4096).contains(&sector) || per_cluster == 0 {
            return Err(damaged("there is no FAT file system"));
        }
        let wide = short(22) == 0;
        let table = range.start + short(14) * sector;
        let tables = byte(16) * if wide { long(36) } else { short(22) } * sector;
        let root = table + tables..table + tables + short(17) * SLOT as u64;
        let data = root.end.next_multiple_of(sector);
        let root_cluster = if wide { u32::try_from(long(44)).unwrap_or(0) } else { 0 };
        Ok(Self { device, range, table, wide, root, root_cluster, data, cluster_size: sector * per_cluster })
    }

    /// The names in a folder; its path has slashes.
    pub(crate) fn folder(&self, path: &str) -> io::Result<Vec<Name>> {
        let root = if self.wide { self.chain(self.root_cluster)? } else { vec![self.root.clone()] };
        path.split('/').try_fold(self.names(&root)?, |names, part| {
            let found = names.iter().find(|name| name.is_folder && name.text.eq_ignore_ascii_case(part));
            self.names(&self.chain(found.ok_or(io::ErrorKind::NotFound)?.cluster)?)
        })
    }

    /// Takes a name away; its clusters stay as they are. The byte that makes it a name goes first, in a write of its own:
    /// what else a power cut may leave of it is passed over by everybody.
    pub(crate) fn drop_name(&self, name: &Name) -> io::Result<()> {
        for slot in name.slots.iter().rev() {
            self.device.write_at(&[FREE], *slot)?;
            self.device.sync()?;
        }
        Ok(())
    }

    /// Where the clusters of a folder lie.
    fn chain(&self, first: u32) -> io::Result<Vec<Range<u64>>> {
        let (mut ranges, mut cluster) = (Vec::new(), first);
        while (2..self.end_mark()).contains(&cluster) {
            let start = self.data + u64::from(cluster - 2) * self.cluster_size;
            if ranges.len() as u64 * self.cluster_size >= FOLDER_MAX {
                return Err(damaged("a folder of the FAT file system has no end"));
            }
            ranges.push(start..start + self.cluster_size);
            cluster = self.next(cluster)?;
        }
        Ok(ranges)
    }

    /// Whether the clusters from `first` on come to an end. After a power cut, the table may call one of them free.
    pub(crate) fn has_end(&self, first: u32) -> io::Result<bool> {
        let (clusters, mut cluster) = ((self.range.end - self.data) / self.cluster_size, first);
        for _ in 0..=clusters {
            match cluster {
                0 | 1 => return Ok(false),
                _ if cluster >= self.end_mark() => return Ok(true),
                _ => cluster = self.next(cluster)?,
            }
        }
        Ok(false)
    }

    /// What the table says after the last cluster of a file, or more.
    fn end_mark(&self) -> u32 {
        if self.wide { 0x0fff_fff8 } else { 0xfff8 }
    }

    /// What the table says of a cluster: which one comes after it.
    fn next(&self, cluster: u32) -> io::Result<u32> {
        let mut bytes = [0; 4];
        let width = if self.wide { 4 } else { 2 };
        let at = self.table + u64::from(cluster) * width as u64;
        self.read(&mut bytes[..width], at)?;
        Ok(u32::from_le_bytes(bytes) & 0x0fff_ffff)
    }

    fn names(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Name>> {
        let (mut names, mut pieces) = (Vec::new(), Vec::new());
        for range in ranges {
            let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
            self.read(&mut bytes, range.start)?;
            for (at, slot) in (range.start..).step_by(SLOT).zip(bytes.as_chunks::<SLOT>().0) {
                match slot {
                    [0, ..] => return Ok(names),
                    [FREE, ..] => pieces.clear(),
                    _ if slot[11] & LONG_MASK == LONG => pieces.push((at, *slot)),
                    _ if slot[11] & IS_LABEL != 0 => pieces.clear(),
                    _ => names.push(name(at, slot, &std::mem::take(&mut pieces))),
                }
            }
        }
        Ok(names)
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        if at < self.range.start || at.saturating_add(bytes.len() as u64) > self.range.end {
            return Err(damaged("the FAT file system leads out of its partition"));
        }
        self.device.read_at(bytes, at)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The name of a slot and of the pieces of a long name before it. Pieces that belong to another name, which is gone, do not
/// count.
fn name(at: u64, slot: &[u8; SLOT], pieces: &[(u64, [u8; SLOT])]) -> Name {
    let sum = checksum(slot);
    let whole = pieces.iter().rposition(|(_, piece)| piece[0] & 0x40 != 0).and_then(|at| pieces.get(at..));
    let whole = whole.unwrap_or_default();
    let is_ours = |(nth, (_, piece)): (usize, &(u64, [u8; SLOT]))| {
        piece[13] == sum && usize::from(piece[0] & 0x1f) == whole.len() - nth
    };
    let long = !whole.is_empty() && whole.iter().enumerate().all(is_ours);
    let whole = if long { whole } else { &[] };
    let short = |at: usize| u32::from(slot[at]) | u32::from(slot[at + 1]) << 8;
    Name {
        text: if long { long_text(whole) } else { short_text(slot) },
        cluster: short(26) | short(20) << 16,
        is_folder: slot[11] & IS_FOLDER != 0,
        slots: whole.iter().map(|(at, _)| *at).chain([at]).collect(),
    }
}

/// Ties the pieces of a long name to their short one.
fn checksum(slot: &[u8; SLOT]) -> u8 {
    slot[..11].iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

fn long_text(pieces: &[(u64, [u8; SLOT])]) -> String {
    let characters = pieces
        .iter()
        .rev()
        .flat_map(|(_, piece)| CHARACTERS.map(|at| u16::from_le_bytes([piece[at], piece[at + 1]])));
    let text: Vec<u16> = characters.take_while(|character| *character != 0).collect();
    String::from_utf16_lossy(&text)
}

fn short_text(slot: &[u8; SLOT]) -> String {
    let [base, extension] = [&slot[..8], &slot[8..11]].map(|part| String::from_utf8_lossy(part));
    match (base.trim_end(), extension.trim_end()) {
        (base, "") => base.to_owned(),
        (base, extension) => format!("{base}.{extension}"),
    }
}
