//! The map itself: keys in order, each with bytes that mostly are JSON.
//!
//! A value that this version does not know is kept as it is: a newer version may want it back.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::MetaError;
use crate::frame::FrameError;

/// Longest key in bytes.
pub const KEY_LEN_MAX: usize = 128;

/// Everything that a copy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    entries: BTreeMap<String, Vec<u8>>,
}

impl Meta {
    /// The bytes of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    /// Sets the bytes of a key.
    pub fn set(&mut self, key: &str, value: Vec<u8>) -> Result<(), MetaError> {
        if !is_key(key) {
            return Err(MetaError::Key { key: key.to_owned() });
        }
        self.entries.insert(key.to_owned(), value);
        Ok(())
    }

    /// What a key holds; absent when it was never set.
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, MetaError> {
        self.get(key)
            .map(serde_json::from_slice)
            .transpose()
            .map_err(|source| MetaError::Value { key: key.to_owned(), source })
    }

    /// Sets what a key holds.
    pub fn set_json<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), MetaError> {
        let bytes =
            serde_json::to_vec(value).map_err(|source| MetaError::Value { key: key.to_owned(), source })?;
        self.set(key, bytes)
    }

    /// Removes a key; tells whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Each entry: length of the key (2 bytes), length of the value (4 bytes), key, value.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, MetaError> {
        let mut bytes = Vec::new();
        for (key, value) in &self.entries {
            let key_len = u16::try_from(key.len()).map_err(|_| MetaError::Key { key: key.clone() })?;
            let value_len = u32::try_from(value.len()).map_err(|_| MetaError::TooLarge {
                needed: value.len() as u64,
                limit: crate::layout::COPY_SIZE,
            })?;
            bytes.extend_from_slice(&key_len.to_le_bytes());
            bytes.extend_from_slice(&value_len.to_le_bytes());
            bytes.extend_from_slice(key.as_bytes());
            bytes.extend_from_slice(value);
        }
        Ok(bytes)
    }

    /// Keys are not held to today's rules: a newer version may have others.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, FrameError> {
        let mut entries = BTreeMap::new();
        while !bytes.is_empty() {
            let key_len = u16::from_le_bytes(take(&mut bytes)?);
            let value_len = u32::from_le_bytes(take(&mut bytes)?);
            let value_len = usize::try_from(value_len).map_err(|_| FrameError::Content)?;
            let key = String::from_utf8(take_slice(&mut bytes, usize::from(key_len))?.to_vec())
                .map_err(|_| FrameError::Content)?;
            entries.insert(key, take_slice(&mut bytes, value_len)?.to_vec());
        }
        Ok(Self { entries })
    }
}

fn is_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"./-".contains(&byte);
    (1..=KEY_LEN_MAX).contains(&key.len()) && key.bytes().all(allowed)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], FrameError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(FrameError::Content)?;
    *bytes = rest;
    Ok(*head)
}

fn take_slice<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], FrameError> {
    let (head, rest) = bytes.split_at_checked(len).ok_or(FrameError::Content)?;
    *bytes = rest;
    Ok(head)
}
