//! Durations as people write them: `90s`, `10m`, `1h30m`. For `#[serde(with = "span")]`.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

const UNITS: &[(char, u64)] = &[('h', 3600), ('m', 60), ('s', 1)];

/// Reads a duration; the units come in their order, each at most once.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| format!("{rest} has no unit"))?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next().unwrap_or_default();
        let number: u64 = number.parse().map_err(|_| format!("{rest:?} does not start with a number"))?;
        let Some((_, factor)) = units.find(|(name, _)| *name == unit) else {
            return Err(format!("{unit:?} is no unit here"));
        };
        let part = number.checked_mul(*factor).and_then(|part| seconds.checked_add(part));
        seconds = part.ok_or_else(|| format!("{text} is too long"))?;
        rest = tail.get(unit.len_utf8()..).unwrap_or_default();
    }
    match text.is_empty() {
        true => Err("it is empty".to_owned()),
        false => Ok(Duration::from_secs(seconds)),
    }
}

/// The shortest words for a duration of whole seconds.
pub(crate) fn format(span: Duration) -> String {
    let mut seconds = span.as_secs();
    let mut text = String::new();
    for (name, factor) in UNITS {
        if seconds >= *factor {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{name}", seconds / factor);
            seconds %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*span))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds, again) in [
            ("90s", 90, "1m30s"),
            ("10m", 600, "10m"),
            ("1h30m", 5400, "1h30m"),
            ("0s", 0, "0s"),
            ("60m", 3600, "1h"),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
            assert_eq!(format(Duration::from_secs(seconds)), again);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "10", "s", "10 m", "5s1m", "1m1m", "1d", "ten minutes", "99999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
