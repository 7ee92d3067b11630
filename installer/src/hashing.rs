//! SHA-256 beside the disk: a thread hashes what the caller has read or written while the caller goes on to the next piece.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use sha2::{Digest, Sha256};

use crate::slot::Hash;

/// Pieces that may wait for the thread.
const WAITING: usize = 2;

/// Hashes pieces in the order in which they are given.
#[derive(Debug)]
pub(crate) struct Hashing {
    pieces: SyncSender<Vec<u8>>,
    thread: JoinHandle<Hash>,
}

impl Hashing {
    /// Starts the thread. It ends with [`Hashing::finish`], or when this is dropped.
    pub(crate) fn start() -> io::Result<Self> {
        let (pieces, given) = sync_channel::<Vec<u8>>(WAITING);
        let thread = Builder::new().name("hash".into()).spawn(move || {
            let mut hash = Sha256::new();
            given.iter().for_each(|piece| hash.update(&piece));
            hash.finalize().into()
        })?;
        Ok(Self { pieces, thread })
    }

    pub(crate) fn update(&self, piece: Vec<u8>) -> io::Result<()> {
        self.pieces.send(piece).map_err(|_| io::Error::other("the hashing thread ended"))
    }

    pub(crate) fn finish(self) -> io::Result<Hash> {
        drop(self.pieces);
        self.thread.join().map_err(|_| io::Error::other("the hashing thread ended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_hashed_in_order() {
        let hashing = Hashing::start().unwrap();
        for piece in [&b"a"[..], b"", b"b", b"c"] {
            hashing.update(piece.to_vec()).unwrap();
        }
        assert_eq!(hashing.finish().unwrap(), Hash::from(Sha256::digest(b"abc")));
    }
}
