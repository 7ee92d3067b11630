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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_short_and_plain() {
        let mut meta = Meta::default();
        for key in ["update.pending", "a/b-c.0", &"k".repeat(KEY_LEN_MAX)] {
            meta.set(key, Vec::new()).unwrap();
        }
        for key in ["", "Upper", "under_score", "späße", "with space", &"k".repeat(KEY_LEN_MAX + 1)] {
            assert!(matches!(meta.set(key, Vec::new()), Err(MetaError::Key { .. })), "{key}");
        }
    }

    #[test]
    fn a_value_of_another_shape_is_an_error_that_names_the_key() {
        let mut meta = Meta::default();
        meta.set_json("test.number", "no number").unwrap();
        let error = meta.get_json::<u32>("test.number").unwrap_err();
        assert_eq!(error.to_string(), "understand META key test.number");
        assert_eq!(meta.get_json::<u32>("test.absent").unwrap(), None);
        assert!(meta.remove("test.number"));
        assert!(!meta.remove("test.number"));
    }

    #[test]
    fn keys_that_todays_rules_refuse_survive() {
        let entries = BTreeMap::from([("Key_Of Tomorrow".to_owned(), vec![1, 2, 3])]);
        let meta = Meta { entries };
        assert_eq!(Meta::decode(&meta.encode().unwrap()).unwrap(), meta);
    }

    proptest! {
        #[test]
        fn a_map_comes_back_as_it_went(entries: BTreeMap<String, Vec<u8>>) {
            let meta = Meta { entries };
            prop_assert_eq!(Meta::decode(&meta.encode().unwrap()).unwrap(), meta);
        }

        #[test]
        fn no_bytes_bring_the_reader_down(bytes: Vec<u8>) {
            let _ = Meta::decode(&bytes);
        }
    }
}
