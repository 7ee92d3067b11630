//! Reads a written slot back, through dm-verity: what the next boot will check is checked now.

use std::fs::File;
use std::io::Read;

use camino::Utf8Path;
use corten_sys::dm::{DeviceMapper, DmError, OnCorruption};

use crate::boot::cmdline::RootHash;
use crate::boot::initramfs::{InitramfsError, describe};

/// Device-mapper name while it lasts.
const NAME: &str = "update-check";
/// Bytes that are read at once.
const CHUNK: usize = 4 << 20;

/// Why a slot is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No image, or one of another root hash.
    #[error("recognise the written image")]
    Describe(#[from] InitramfsError),
    /// The device-mapper.
    #[error("put dm-verity over the written slot")]
    Verity(#[from] DmError),
    /// A block does not match, or cannot be read.
    #[error("read the written slot back at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Cause; a block that does not match is an I/O error.
        source: std::io::Error,
    },
}

/// Reads all of the image in `partition`; tells how many bytes are done and how many there are.
///
/// # Errors
/// When a byte does not match the root hash.
pub fn verify(
    partition: &Utf8Path,
    hash: &RootHash,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), VerifyError> {
    let verity = describe(hash, partition, OnCorruption::Error)?;
    let total = verity.data_blocks * u64::from(verity.block_size);
    let mapper = DeviceMapper::open()?;
    let _ = mapper.remove(NAME); // left over from a check that was cut off
    let device = mapper.create_verity(NAME, &verity)?;
    let result = read_all(&device, total, progress);
    mapper.remove(NAME)?;
    result
}

fn read_all(device: &Utf8Path, total: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<(), VerifyError> {
    let mut offset = 0;
    let failed = |offset| move |source| VerifyError::Read { offset, source };
    let mut file = File::open(device).map_err(failed(0))?;
    let mut buffer = vec![0; CHUNK];
    while offset < total {
        let part = usize::try_from(total - offset).unwrap_or(CHUNK).min(CHUNK);
        file.read_exact(&mut buffer[..part]).map_err(failed(offset))?;
        offset += part as u64;
        progress(offset, total);
    }
    Ok(())
}
