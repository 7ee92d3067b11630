//! What is on a device, told by its magic numbers.
//!
//! Its purpose is not to format what holds data: anything that is neither empty nor known is [`Content::Unknown`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;

/// How much of the start of a device must be zero before it counts as empty.
const START: u64 = 4 << 20;
/// How much of its end: RAID and ZFS keep their labels there.
const END: u64 = 1 << 20;
const CHUNK: u64 = 256 << 10;

/// What a device holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing: its start and its end are zero.
    Empty,
    /// A file system or container that is known by name.
    Known(&'static str),
    /// Something.
    Unknown,
}

/// Name, place and bytes of each magic number.
const MAGICS: &[(&str, u64, &[u8])] = &[
    ("ext4", 1080, &[0x53, 0xef]),
    ("xfs", 0, b"XFSB"),
    ("crypto_LUKS", 0, b"LUKS\xba\xbe"),
    ("squashfs", 0, b"hsqs"),
    ("erofs", 1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
    ("btrfs", 0x1_0040, b"_BHRfS_M"),
    ("f2fs", 1024, &[0x10, 0x20, 0xf5, 0xf2]),
    ("swap", 4086, b"SWAPSPACE2"),
    ("LVM2_member", 512, b"LABELONE"),
    ("linux_raid_member", 4096, &[0xfc, 0x4e, 0x2b, 0xa9]),
    ("bcache", 4096 + 24, &[0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca]),
    ("verity", 0, b"verity\0\0"),
    ("ntfs", 3, b"NTFS    "),
    ("exfat", 3, b"EXFAT   "),
    ("vfat", 82, b"FAT32   "),
    ("vfat", 54, b"FAT16   "),
    ("vfat", 54, b"FAT12   "),
    ("iso9660", 0x8001, b"CD001"),
    ("gpt", 512, b"EFI PART"),
];

/// Looks at a device.
pub fn probe(path: &Utf8Path) -> io::Result<Content> {
    let file = File::open(path)?;
    probe_with(super::size(&file)?, |bytes, at| file.read_exact_at(bytes, at))
}

/// Looks at something of so many bytes that `read` fills a buffer from.
pub fn probe_with(size: u64, read: impl Fn(&mut [u8], u64) -> io::Result<()>) -> io::Result<Content> {
    for (name, at, magic) in MAGICS {
        let mut bytes = vec![0_u8; magic.len()];
        if at + magic.len() as u64 <= size {
            read(&mut bytes, *at)?;
        }
        if bytes == *magic {
            return Ok(Content::Known(name));
        }
    }
    let start_is_zero = is_zero(&read, 0, START.min(size))?;
    let empty = start_is_zero && is_zero(&read, size.saturating_sub(END), size)?;
    Ok(if empty { Content::Empty } else { Content::Unknown })
}

fn is_zero(read: &impl Fn(&mut [u8], u64) -> io::Result<()>, mut at: u64, end: u64) -> io::Result<bool> {
    while at < end {
        let length = CHUNK.min(end - at);
        let mut bytes = vec![0_u8; usize::try_from(length).unwrap_or(0)];
        read(&mut bytes, at)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += length;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn with(bytes: &[u8], at: u64) -> Content {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("device")).unwrap();
        let file = File::create(&path).unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(bytes, at).unwrap();
        probe(&path).unwrap()
    }

    #[test]
    fn every_magic_number_is_found_where_it_belongs() {
        for (name, at, magic) in MAGICS {
            assert_eq!(with(magic, *at), Content::Known(name));
        }
    }

    #[test]
    fn one_byte_anywhere_at_the_start_or_the_end_is_data() {
        for at in [0, 1, 4095, START - 1, (8 << 20) - 1, (7 << 20) + 5] {
            assert_eq!(with(&[1], at), Content::Unknown, "byte {at}");
        }
        assert_eq!(with(&[0], 0), Content::Empty);
    }
}
