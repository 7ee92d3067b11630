//! The kernel command line.

use std::fs;
use std::io;

/// Hexadecimal digits of a SHA-256.
const HASH_DIGITS: usize = 64;

/// Parsed arguments. The last of several with the same name wins, as in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cmdline(Vec<(String, String)>);

/// Why there is no root hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootHashError {
    /// Not there at all.
    #[error("the kernel command line has no corten.roothash")]
    Missing,
    /// Not a SHA-256.
    #[error("corten.roothash={value} is not a SHA-256 in hexadecimal")]
    Malformed {
        /// What was given.
        value: String,
    },
}

/// Root hash of the root image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootHash(String);

impl Cmdline {
    /// Reads the running kernel's.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/cmdline")?))
    }

    /// Splits at spaces that are not quoted.
    pub fn parse(text: &str) -> Self {
        let mut quoted = false;
        let words = text.trim().split(|c: char| {
            quoted ^= c == '"';
            !quoted && c.is_whitespace()
        });
        let words = words.filter(|word| !word.is_empty()).map(|word| word.replace('"', ""));
        Self(
            words
                .map(|word| match word.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (word, String::new()),
                })
                .collect(),
        )
    }

    /// Value of `name`; empty for a plain word.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Root hash of the image that belongs to this kernel.
    pub fn root_hash(&self) -> Result<RootHash, RootHashError> {
        RootHash::parse(self.get("corten.roothash").ok_or(RootHashError::Missing)?)
    }
}

impl RootHash {
    /// From hexadecimal digits.
    pub fn parse(value: &str) -> Result<Self, RootHashError> {
        let well_formed = value.len() == HASH_DIGITS && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !well_formed {
            return Err(RootHashError::Malformed { value: value.to_owned() });
        }
        Ok(Self(value.to_ascii_lowercase()))
    }

    /// In hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// UUID of the partition that holds the image: the first half of the hash.
    pub fn partition_uuid(&self) -> String {
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
        groups.map(|range| self.0.get(range).unwrap_or_default()).join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_words_and_quotes_are_told_apart_and_the_last_one_wins() {
        let cmdline = Cmdline::parse("quiet console=tty0  console=ttyS0,115200 corten.note=\"a b\" x=1=2\n");
        assert_eq!(cmdline.get("quiet"), Some(""));
        assert_eq!(cmdline.get("console"), Some("ttyS0,115200"));
        assert_eq!(cmdline.get("corten.note"), Some("a b"));
        assert_eq!(cmdline.get("x"), Some("1=2"));
        assert_eq!(cmdline.get("y"), None);
    }

    #[test]
    fn the_partition_uuid_is_the_first_half_of_the_root_hash() {
        let hash = format!("00112233445566778899AABBCCDDEEFF{}", "0".repeat(32));
        let root = Cmdline::parse(&format!("corten.roothash={hash}")).root_hash().unwrap();
        assert_eq!(root.partition_uuid(), "00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn a_root_hash_must_be_there_and_be_one() {
        assert_eq!(Cmdline::parse("quiet").root_hash(), Err(RootHashError::Missing));
        for value in ["", "12", &"g".repeat(64), &"0".repeat(65)] {
            let error = Cmdline::parse(&format!("corten.roothash={value}")).root_hash().unwrap_err();
            assert_eq!(error, RootHashError::Malformed { value: value.to_owned() });
        }
    }
}
