//! The envelope of everything on META: says whether the bytes inside are whole, and which of two is newer.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | magic |
//! | 8 | 2 | major number of the format: a reader that does not know it cannot understand the payload |
//! | 10 | 2 | minor number: what a reader may ignore |
//! | 12 | 4 | length of the header, so that it can grow at its end |
//! | 16 | 8 | counter: the higher one is newer |
//! | 24 | 8 | length of the payload |
//! | 32 | 32 | SHA-256 of all bytes of header and payload but these |
//! | header length | … | payload |
//!
//! Numbers are little-endian. The table itself never changes, not even with the major number: that is how an old
//! version tells a newer format from a damaged one.

#[cfg(test)]
mod tests;

use std::io;

use sha2::{Digest, Sha256};

use crate::device::Device;

/// Newest major number that is understood.
pub(crate) const MAJOR: u16 = 1;
const MINOR: u16 = 0;

/// Bytes of the header that we write.
pub(crate) const HEADER_LEN: usize = HEADER_LEN_FIELD as usize;
const HEADER_LEN_FIELD: u32 = 64;
const DIGEST_AT: usize = 32;
const MAGIC_LEN: usize = 8;

/// First bytes of a frame: what kind it is.
pub(crate) type Magic = [u8; MAGIC_LEN];

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) counter: u64,
    pub(crate) payload: Vec<u8>,
}

/// Why there is no frame to be used.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Nothing was ever written.
    #[error("blank")]
    Blank,
    /// Something else is there.
    #[error("something that is not ours is in its place")]
    NotOurs,
    /// It is whole, but from a version to come.
    #[error("written in format {major}, newer than format {MAJOR}")]
    Newer {
        /// Major number of its format.
        major: u16,
        /// Its counter.
        counter: u64,
    },
    /// A length cannot be true.
    #[error("its header names lengths that do not fit")]
    Lengths,
    /// Bytes are missing at its end.
    #[error("it is cut off")]
    Truncated,
    /// Bytes were changed.
    #[error("its checksum does not match")]
    Checksum,
    /// The envelope is whole, but what is in it makes no sense.
    #[error("its content is malformed")]
    Content,
    /// The device did not give it.
    #[error("it cannot be read: {0}")]
    Io(#[source] io::Error),
}

/// The fields of a header, with lengths that fit the room.
struct Header {
    major: u16,
    header_len: usize,
    counter: u64,
    total: usize,
}

/// Packs a payload.
pub(crate) fn encode(magic: Magic, counter: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    bytes.extend_from_slice(&magic);
    bytes.extend_from_slice(&MAJOR.to_le_bytes());
    bytes.extend_from_slice(&MINOR.to_le_bytes());
    bytes.extend_from_slice(&HEADER_LEN_FIELD.to_le_bytes());
    bytes.extend_from_slice(&counter.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let mut digest = Sha256::new();
    digest.update(&bytes);
    digest.update(payload);
    bytes.extend_from_slice(&digest.finalize());
    bytes.extend_from_slice(payload);
    bytes
}

/// Unpacks what begins with a frame; bytes behind it are left over from longer ones.
#[cfg(test)]
pub(crate) fn decode(magic: Magic, bytes: &[u8]) -> Result<Frame, FrameError> {
    let (head, _) = bytes.split_at_checked(HEADER_LEN).ok_or(FrameError::Truncated)?;
    let header = Header::parse(magic, head, bytes.len())?;
    header.unpack(bytes.get(..header.total).ok_or(FrameError::Truncated)?)
}

/// Reads the frame that begins at the offset and has this much room.
pub(crate) fn read<D: Device + ?Sized>(
    device: &D,
    magic: Magic,
    offset: u64,
    room: u64,
) -> Result<Frame, FrameError> {
    let room = usize::try_from(room).map_err(|_| FrameError::Lengths)?;
    let mut head = [0; HEADER_LEN];
    device.read_at(&mut head, offset).map_err(FrameError::Io)?;
    let header = Header::parse(magic, &head, room)?;
    let mut bytes = vec![0; header.total];
    device.read_at(&mut bytes, offset).map_err(FrameError::Io)?;
    header.unpack(&bytes)
}

impl Header {
    fn parse(magic: Magic, head: &[u8], room: usize) -> Result<Self, FrameError> {
        let found: Magic = field(head, 0)?;
        if found == [0; MAGIC_LEN] {
            return Err(FrameError::Blank);
        }
        if found != magic {
            return Err(FrameError::NotOurs);
        }
        let header_len = u32::from_le_bytes(field(head, 12)?);
        let header_len = usize::try_from(header_len).map_err(|_| FrameError::Lengths)?;
        let payload_len = u64::from_le_bytes(field(head, 24)?);
        let payload_len = usize::try_from(payload_len).map_err(|_| FrameError::Lengths)?;
        let total = header_len.checked_add(payload_len).ok_or(FrameError::Lengths)?;
        if header_len < HEADER_LEN || total > room {
            return Err(FrameError::Lengths);
        }
        Ok(Self {
            major: u16::from_le_bytes(field(head, 8)?),
            header_len,
            counter: u64::from_le_bytes(field(head, 16)?),
            total,
        })
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Frame, FrameError> {
        let (front, rest) = bytes.split_at_checked(DIGEST_AT).ok_or(FrameError::Truncated)?;
        let (expected, rest) = rest.split_at_checked(HEADER_LEN - DIGEST_AT).ok_or(FrameError::Truncated)?;
        let digest = Sha256::new().chain_update(front).chain_update(rest).finalize();
        if digest.as_slice() != expected {
            return Err(FrameError::Checksum);
        }
        if self.major != MAJOR {
            return Err(FrameError::Newer { major: self.major, counter: self.counter });
        }
        let payload = bytes.get(self.header_len..).ok_or(FrameError::Lengths)?;
        Ok(Frame { counter: self.counter, payload: payload.to_vec() })
    }
}

/// The bytes of a field.
fn field<const N: usize>(head: &[u8], at: usize) -> Result<[u8; N], FrameError> {
    head.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(FrameError::Truncated)
}
