//! The dm-verity hash tree of a root image, appended to the image itself.
//!
//! The result is what `veritysetup format --hash-offset` makes: the data, then at its end one block
//! of superblock (with the salt), then the tree from its root level down. Format 1, SHA-256, blocks
//! of 4096 bytes. The root hash stands for every byte of the data.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a data block and of a hash block.
pub const BLOCK: usize = 4096;
const HASH: usize = 32;

/// What vouches for a root image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootHash([u8; HASH]);

impl RootHash {
    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8; HASH] {
        &self.0
    }

    /// The UUID of the partition that holds the image: the first half of the hash. So a slot can
    /// only be mounted by the kernel command line that belongs to it.
    pub fn partition_uuid(&self) -> Uuid {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[..16]);
        Uuid::from_bytes(half)
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for RootHash {
    type Err = ParseRootHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.len() == 2 * HASH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut hash = [0; HASH];
        for (index, byte) in hash.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).filter(|_| plain);
            let digits = digits.ok_or(ParseRootHashError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| ParseRootHashError)?;
        }
        Ok(Self(hash))
    }
}

/// A text that is not a root hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a root hash has 64 hexadecimal digits")]
pub struct ParseRootHashError;

/// Pads the image to whole blocks, appends its hash tree and returns the root hash.
///
/// The salt is the hash of the image: two builds of the same bytes stay the same, and two images
/// never share a tree.
pub fn append(image: &Path) -> io::Result<RootHash> {
    let mut file = OpenOptions::new().read(true).write(true).open(image)?;
    let length = file.metadata()?.len().next_multiple_of(BLOCK as u64);
    file.set_len(length)?;
    let salt = digest_file(&mut file)?;
    let blocks = length / BLOCK as u64;
    let (tree, root) = tree(&mut file, blocks, &salt)?;
    file.seek(SeekFrom::Start(length))?;
    file.write_all(&superblock(blocks, &salt))?;
    for level in tree.iter().rev() {
        file.write_all(level)?;
    }
    file.sync_all()?;
    Ok(root)
}

fn digest_file(file: &mut File) -> io::Result<[u8; HASH]> {
    file.rewind()?;
    crate::digest::sha256(file)
}

/// All levels of the tree, the widest first, and the root above them.
fn tree(file: &mut File, blocks: u64, salt: &[u8; HASH]) -> io::Result<(Vec<Vec<u8>>, RootHash)> {
    file.rewind()?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut block = [0; BLOCK];
    let mut hashes = Vec::new();
    for _ in 0..blocks {
        reader.read_exact(&mut block)?;
        hashes.extend(hash_block(salt, &block));
    }
    let mut levels = Vec::new();
    while hashes.len() > HASH {
        hashes.resize(hashes.len().next_multiple_of(BLOCK), 0);
        let above = hashes.chunks(BLOCK).flat_map(|block| hash_block(salt, block)).collect();
        levels.push(std::mem::replace(&mut hashes, above));
    }
    let root = hashes.as_slice().try_into().map_err(|_| io::Error::other("the image is empty"))?;
    Ok((levels, RootHash(root)))
}

fn hash_block(salt: &[u8], block: &[u8]) -> [u8; HASH] {
    Sha256::new().chain_update(salt).chain_update(block).finalize().into()
}

/// See `struct verity_sb` in cryptsetup's `lib/verity/verity.c`.
fn superblock(blocks: u64, salt: &[u8; HASH]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |offset: usize, bytes: &[u8]| block[offset..offset + bytes.len()].copy_from_slice(bytes);
    let block_size = 4096_u32.to_le_bytes();
    put(0, b"verity\0\0");
    put(8, &1_u32.to_le_bytes()); // superblock version
    put(12, &1_u32.to_le_bytes()); // hash type: normal, not Chrome OS
    put(16, &salt[..16]); // UUID, which nothing uses: derived, to be reproducible
    put(32, b"sha256");
    put(64, &block_size); // data blocks
    put(68, &block_size); // hash blocks
    put(72, &blocks.to_le_bytes());
    put(80, &32_u16.to_le_bytes()); // length of the salt
    put(88, salt);
    block
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn image(bytes: usize) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let data: Vec<u8> = (0..bytes).map(|i| u8::try_from(i * i % 251).unwrap()).collect();
        file.write_all(&data).unwrap();
        file
    }

    fn veritysetup_accepts(image: &Path, offset: usize, root: &RootHash) -> Option<bool> {
        let offset = format!("--hash-offset={offset}");
        let root = root.to_string();
        let output = Command::new("/usr/sbin/veritysetup")
            .arg("verify")
            .args([image, image])
            .args([root, offset])
            .output();
        match output {
            Ok(output) => Some(output.status.success()),
            Err(error) => {
                println!("skipped the comparison with veritysetup: {error}");
                None
            }
        }
    }

    #[test]
    fn veritysetup_accepts_the_tree_and_notices_a_flipped_bit() {
        // One block of hashes, several, and two levels of them; the last with an odd tail.
        for bytes in [3 * BLOCK, 300 * BLOCK, 20_000 * BLOCK + 77] {
            let file = image(bytes);
            let root = append(file.path()).unwrap();
            let offset = bytes.next_multiple_of(BLOCK);
            assert_ne!(veritysetup_accepts(file.path(), offset, &root), Some(false), "{bytes}");

            let mut data = std::fs::read(file.path()).unwrap();
            data[bytes / 2] ^= 1;
            std::fs::write(file.path(), data).unwrap();
            assert_ne!(veritysetup_accepts(file.path(), offset, &root), Some(true), "{bytes}");
        }
    }

    #[test]
    fn the_same_image_has_the_same_tree_and_another_image_another() {
        let (one, two, other) = (image(40_000), image(40_000), image(40_001));
        let roots = [&one, &two, &other].map(|file| append(file.path()).unwrap());
        assert_eq!(roots[0], roots[1]);
        assert_ne!(roots[0], roots[2]);
        assert!(std::fs::read(one.path()).unwrap() == std::fs::read(two.path()).unwrap());
    }

    #[test]
    fn the_partition_is_named_after_the_first_half_of_the_hash() {
        let root = RootHash(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(root.partition_uuid().to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert!(root.to_string().starts_with("000102030405") && root.to_string().len() == 64);
        assert_eq!(root.to_string().parse(), Ok(root));
        assert_eq!("0g".repeat(32).parse::<RootHash>(), Err(ParseRootHashError));
        assert_eq!("00".repeat(31).parse::<RootHash>(), Err(ParseRootHashError));
    }

    #[test]
    fn an_empty_image_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(append(file.path()).is_err());
    }
}
