//! SHA-256 of what a reader gives.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Reads to the end and hashes all of it.
pub fn sha256(input: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_of_all_bytes() {
        let bytes = vec![7; 3 * CHUNK + 5];
        assert_eq!(sha256(&mut bytes.as_slice()).unwrap()[..], Sha256::digest(&bytes)[..]);
    }
}
