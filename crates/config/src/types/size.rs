//! Sizes of disks, as people write them: `20GiB`, `>=20GiB`, `<2TiB`, `100GiB..1TiB`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Units, the longest names first so that `GiB` is not read as `B`.
const UNITS: &[(&str, u64)] = &[
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
/// A single size holds for disks that differ by less than this part of it: a disk sold as 500 GB has 500107862016 bytes.
const TOLERANCE: u64 = 100;

/// A range of sizes. It keeps the words it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SizeRange {
    text: String,
    bytes: RangeInclusive<u64>,
}

impl SizeRange {
    /// Every size that fits, in bytes.
    pub fn bytes(&self) -> &RangeInclusive<u64> {
        &self.bytes
    }

    /// Whether a disk of so many bytes is in it.
    pub fn contains(&self, bytes: u64) -> bool {
        self.bytes.contains(&bytes)
    }
}

impl FromStr for SizeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = range(text)?;
        if bytes.is_empty() {
            return Err("no disk can have this size".to_owned());
        }
        Ok(Self { text: text.to_owned(), bytes })
    }
}

fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    if let Some((low, high)) = text.split_once("..") {
        return Ok(size(low)?..=size(high)?);
    }
    // The two-letter signs first: `>=` starts with `>`.
    if let Some(low) = text.strip_prefix(">=") {
        return Ok(size(low)?..=u64::MAX);
    }
    if let Some(high) = text.strip_prefix("<=") {
        return Ok(0..=size(high)?);
    }
    if let Some(low) = text.strip_prefix('>') {
        return Ok(size(low)?.saturating_add(1)..=u64::MAX);
    }
    if let Some(high) = text.strip_prefix('<') {
        return Ok(0..=size(high)?.saturating_sub(1));
    }
    let exact = size(text)?;
    let slack = exact / TOLERANCE;
    Ok(exact - slack..=exact.saturating_add(slack))
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = match number.parse() {
        Ok(0) => return Err("a size is more than zero".to_owned()),
        Ok(number) => number,
        Err(_) if number.is_empty() => return Err(format!("{text:?} does not start with a number")),
        Err(_) => return Err(format!("{number} is too large")),
    };
    if unit.is_empty() {
        return Err(format!("{number} has no unit"));
    }
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let factor = factor.ok_or_else(|| format!("{unit:?} is no unit"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text} is too large"))
}

/// What was probably meant by a text that is no size: another case of the unit, or one left out, or a blank.
pub(crate) fn suggestion(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split("..").collect();
    let better: Vec<String> = parts.iter().filter_map(|part| nearest_size(part)).collect();
    let better = better.join("..");
    (better != text && better.parse::<SizeRange>().is_ok()).then_some(better)
}

fn nearest_size(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    let number = compact.find(|c: char| c.is_ascii_digit())?;
    let unit =
        compact.get(number..)?.find(|c: char| !c.is_ascii_digit()).map_or(compact.len(), |at| at + number);
    let (amount, given) = compact.split_at(unit);
    let lower = given.to_lowercase();
    let binary = |name: &str| name.len() == 3 && name.to_lowercase().strip_suffix("ib") == Some(&lower);
    let same = |name: &str| name.to_lowercase() == lower;
    let names = || UNITS.iter().map(|(name, _)| *name);
    let unit = match given.is_empty() {
        true => "GiB",
        false => names().find(|name| same(name)).or_else(|| names().find(|name| binary(name)))?,
    };
    Some(format!("{amount}{unit}"))
}

impl TryFrom<String> for SizeRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SizeRange> for String {
    fn from(range: SizeRange) -> Self {
        range.text
    }
}

impl fmt::Display for SizeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_range_holds_what_it_says() {
        for (text, inside, outside) in [
            ("20GiB", &[20 * GIB][..], &[19 * GIB, 21 * GIB][..]),
            // What is sold as half a terabyte.
            ("500GB", &[500_107_862_016], &[480 * GIB]),
            (">=20GiB", &[20 * GIB, u64::MAX], &[20 * GIB - 1]),
            (">20GiB", &[20 * GIB + 1], &[20 * GIB]),
            ("<2TiB", &[0, 2048 * GIB - 1], &[2048 * GIB]),
            ("<=2TiB", &[2048 * GIB], &[2048 * GIB + 1]),
            ("100GiB..1TiB", &[100 * GIB, 1024 * GIB], &[100 * GIB - 1, 1024 * GIB + 1]),
        ] {
            let range: SizeRange = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
            assert!(inside.iter().all(|bytes| range.contains(*bytes)), "{text}");
            assert!(!outside.iter().any(|bytes| range.contains(*bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_and_the_meant_one_guessed() {
        for (text, reason, better) in [
            ("20", "20 has no unit", Some("20GiB")),
            ("20G", "\"G\" is no unit", Some("20GiB")),
            (">= 20gib", "does not start with a number", Some(">=20GiB")),
            ("20gb", "\"gb\" is no unit", Some("20GB")),
            ("100GiB .. 1T", "is no unit", Some("100GiB..1TiB")),
            ("1TiB..100GiB", "no disk can have this size", None),
            ("<1B..2B", "does not start with a number", None),
            ("large", "does not start with a number", None),
            ("0GiB", "more than zero", None),
            ("99999999PiB", "too large", None),
            ("99999999999999999999B", "too large", None),
            ("", "does not start with a number", None),
        ] {
            let refused = text.parse::<SizeRange>().unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
            assert_eq!(suggestion(text).as_deref(), better, "{text}");
        }
    }
}
