//! The payload: which byte belongs to which part, and whether the parts are whole.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::digest::{Context, SHA256};

use crate::digest::Digest;
use crate::error::BundleError;
use crate::manifest::{Manifest, PartInfo};

/// A part of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The root image.
    Root,
    /// The kernel image.
    Uki,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "root image",
            Self::Uki => "kernel image",
        })
    }
}

/// Where the parts are in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    root: PartInfo,
    uki: PartInfo,
}

/// Some bytes of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The part.
    pub part: Part,
    /// Where in the part they belong.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Payload {
    /// The payload that the manifest announces.
    pub fn new(manifest: &Manifest) -> Self {
        Self { root: manifest.root, uki: manifest.uki }
    }

    /// Bytes of all parts.
    pub fn len(&self) -> u64 {
        self.root.size.saturating_add(self.uki.size)
    }

    /// No part has a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the manifest says about a part.
    pub fn info(&self, part: Part) -> PartInfo {
        match part {
            Part::Root => self.root,
            Part::Uki => self.uki,
        }
    }

    /// Where a part is in the payload.
    pub fn range(&self, part: Part) -> Range<u64> {
        match part {
            Part::Root => 0..self.root.size,
            Part::Uki => self.root.size..self.len(),
        }
    }

    /// The part of this offset, and where in it; absent at the end and behind it.
    pub fn locate(&self, offset: u64) -> Option<(Part, u64)> {
        let part = [Part::Root, Part::Uki].into_iter().find(|part| self.range(*part).contains(&offset))?;
        Some((part, offset - self.range(part).start))
    }

    /// Takes bytes apart that belong at this offset.
    pub fn split<'a>(&self, offset: u64, bytes: &'a [u8]) -> Result<Vec<Piece<'a>>, BundleError> {
        let mut pieces = Vec::new();
        let (mut offset, mut bytes) = (offset, bytes);
        while !bytes.is_empty() {
            let (part, at) = self.locate(offset).ok_or(BundleError::TooLong { expected: self.len() })?;
            let room = usize::try_from(self.info(part).size - at).unwrap_or(usize::MAX);
            let (head, rest) = bytes.split_at(bytes.len().min(room));
            pieces.push(Piece { part, offset: at, bytes: head });
            offset += head.len() as u64;
            bytes = rest;
        }
        Ok(pieces)
    }
}

/// Hashes a payload as it comes, from its start. To go on with a transfer, give it what is already there again.
#[derive(Clone)]
pub struct Check {
    payload: Payload,
    position: u64,
    context: Context,
}

impl Check {
    /// Nothing was seen yet.
    pub fn new(payload: Payload) -> Self {
        Self { payload, position: 0, context: Context::new(&SHA256) }
    }

    /// Bytes of the payload that were seen.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Takes the next bytes and says where they belong. Fails at the last byte of a part that is not what the
    /// manifest says: the bytes of this call must then not be used, and those before must be given up.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> Result<Vec<Piece<'a>>, BundleError> {
        let pieces = self.payload.split(self.position, bytes)?;
        for piece in &pieces {
            self.context.update(piece.bytes);
            self.position += piece.bytes.len() as u64;
            if self.position == self.payload.range(piece.part).end {
                self.end_part(piece.part)?;
            }
        }
        Ok(pieces)
    }

    /// Every part is whole.
    pub fn finish(&self) -> Result<(), BundleError> {
        if self.position < self.payload.len() {
            return Err(BundleError::Truncated { have: self.position, need: self.payload.len() });
        }
        Ok(())
    }

    fn end_part(&mut self, part: Part) -> Result<(), BundleError> {
        let context = std::mem::replace(&mut self.context, Context::new(&SHA256));
        let found = Digest::finish(context);
        let expected = self.payload.info(part).sha256;
        if found != expected {
            return Err(BundleError::Hash { part, found, expected });
        }
        Ok(())
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Check")
            .field("payload", &self.payload)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
