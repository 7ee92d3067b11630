//! Patterns for names of hardware: `*` stands for any characters, `?` for one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text in which `*` stands for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// A pattern; every text is one.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        let (mut at, mut seen) = (0, 0);
        // Where to go on when what follows the last star does not fit: the star takes one character more.
        let mut retry: Option<(usize, usize)> = None;
        while seen < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    retry = Some((at, seen));
                    at += 1;
                }
                Some(c) if *c == '?' || text.get(seen) == Some(c) => {
                    at += 1;
                    seen += 1;
                }
                _ => match retry {
                    Some((star, taken)) => {
                        retry = Some((star, taken + 1));
                        at = star + 1;
                        seen = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.iter().skip(at).all(|c| *c == '*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_texts() {
        for (pattern, good, bad) in [
            ("QEMU HARDDISK", &["QEMU HARDDISK"][..], &["QEMU HARDDISK 2", "QEMU"][..]),
            ("Samsung*", &["Samsung", "Samsung SSD 970"], &["A Samsung"]),
            ("*SSD*9?0*", &["Samsung SSD 970 EVO", "SSD 9x0"], &["SSD 90", "ssd 970"]),
            ("*/0000:00:??.0/*", &["pci0000:00/0000:00:1f.0/ata1"], &["0000:00:1f.0/ata1"]),
            ("*", &["", "anything"], &[]),
            ("*a*b", &["aab", "ab", "xaybzb"], &["ba", "abc"]),
        ] {
            assert!(good.iter().all(|text| Glob::new(pattern).matches(text)), "{pattern}");
            assert!(!bad.iter().any(|text| Glob::new(pattern).matches(text)), "{pattern}");
        }
    }
}
