//! The two superblocks of a root image: squashfs tells where the data ends, and there verity's begins.
//!
//! Both are read before anything is verified, so each value is checked; the salt and the size only lead to the root
//! hash when they are the right ones.

use sha2::{Digest, Sha256};

/// Bytes of a block of data and of hashes.
pub(super) const BLOCK: u64 = 4096;
/// Bytes of the squashfs superblock.
pub(super) const SQUASHFS_SIZE: usize = 96;
/// Bytes of the verity superblock that carry anything.
pub(super) const VERITY_SIZE: usize = 512;
const SALT_MAX: usize = 256;

/// Number of data blocks, from the squashfs superblock.
pub(super) fn data_blocks(squashfs: &[u8; SQUASHFS_SIZE]) -> Result<u64, &'static str> {
    if !squashfs.starts_with(b"hsqs") {
        return Err("no squashfs at its start");
    }
    let bytes_used = u64_at(squashfs, 40).unwrap_or(0);
    if !(BLOCK..=1 << 40).contains(&bytes_used) {
        return Err("the size of its file system is out of range");
    }
    Ok(bytes_used.div_ceil(BLOCK))
}

/// Salt in hexadecimal, from the verity superblock that must describe exactly `data_blocks`.
pub(super) fn salt(verity: &[u8; VERITY_SIZE], data_blocks: u64) -> Result<String, &'static str> {
    if !verity.starts_with(b"verity\0\0") {
        return Err("no verity superblock behind its file system");
    }
    let block = u32::try_from(BLOCK).ok();
    let supported = u32_at(verity, 8) == Some(1)
        && u32_at(verity, 12) == Some(1)
        && verity.get(32..39) == Some(b"sha256\0")
        && u32_at(verity, 64) == block
        && u32_at(verity, 68) == block;
    if !supported {
        return Err("a verity format that is not ours");
    }
    if u64_at(verity, 72) != Some(data_blocks) {
        return Err("the hash tree is for another size");
    }
    let length = verity.get(80..82).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes);
    let length = usize::from(length);
    let salt = verity.get(88..88 + length).filter(|_| length <= SALT_MAX).ok_or("the salt is too long")?;
    Ok(salt.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SHA-256 of a block behind the salt, both the salt and the answer in hexadecimal.
pub(super) fn hash(salt: &str, block: &[u8]) -> String {
    let digits = |at| salt.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let salt: Vec<u8> = (0..salt.len()).step_by(2).filter_map(digits).collect();
    let hash = Sha256::new().chain_update(salt).chain_update(block).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squashfs(bytes_used: u64) -> [u8; SQUASHFS_SIZE] {
        let mut block = [0; SQUASHFS_SIZE];
        block[..4].copy_from_slice(b"hsqs");
        block[40..48].copy_from_slice(&bytes_used.to_le_bytes());
        block
    }

    fn verity(blocks: u64, salt: &[u8]) -> [u8; VERITY_SIZE] {
        let mut block = [0; VERITY_SIZE];
        block[..8].copy_from_slice(b"verity\0\0");
        block[8] = 1;
        block[12] = 1;
        block[32..38].copy_from_slice(b"sha256");
        block[64..68].copy_from_slice(&4096_u32.to_le_bytes());
        block[68..72].copy_from_slice(&4096_u32.to_le_bytes());
        block[72..80].copy_from_slice(&blocks.to_le_bytes());
        block[80..82].copy_from_slice(&u16::try_from(salt.len()).unwrap().to_le_bytes());
        block[88..88 + salt.len()].copy_from_slice(salt);
        block
    }

    #[test]
    fn data_ends_at_the_next_whole_block() {
        assert_eq!(data_blocks(&squashfs(4096)), Ok(1));
        assert_eq!(data_blocks(&squashfs(4097)), Ok(2));
        assert_eq!(data_blocks(&[0; SQUASHFS_SIZE]), Err("no squashfs at its start"));
        assert!(data_blocks(&squashfs(u64::MAX)).is_err());
        assert!(data_blocks(&squashfs(0)).is_err());
    }

    #[test]
    fn the_salt_is_read_from_a_tree_of_the_right_size_only() {
        let block = verity(7, &[0xab, 0x01]);
        assert_eq!(salt(&block, 7).as_deref(), Ok("ab01"));
        assert_eq!(salt(&block, 8), Err("the hash tree is for another size"));
        assert_eq!(salt(&verity(7, &[]), 7).as_deref(), Ok(""));
    }

    #[test]
    fn a_block_is_hashed_behind_its_salt() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("", b"abc"), abc);
        assert_eq!(hash("6162", b"c"), abc);
    }

    #[test]
    fn every_other_format_is_refused() {
        for at in [0, 8, 12, 32, 64, 68] {
            let mut block = verity(7, &[1]);
            block[at] ^= 0x10;
            assert!(salt(&block, 7).is_err(), "byte {at}");
        }
        let mut block = verity(7, &[1]);
        block[80..82].copy_from_slice(&300_u16.to_le_bytes());
        assert_eq!(salt(&block, 7), Err("the salt is too long"));
    }
}
