//! How systemd-boot compares names: `strverscmp_improved` of its `string-util-fundamental.c`, version 254.
//!
//! Segments of digits are compared as numbers, of letters as text; `~` is older than the end of the text, and the end is
//! older than anything else. `-`, `^` and `.` separate, the earlier in this list the older. Other characters, such as
//! `+`, are skipped.

use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (skip(a, |byte| !is_version(byte)), skip(b, |byte| !is_version(byte)));
        match separator(a, b, b'~') {
            Ok(rest) => (a, b) = rest,
            Err(order) => return order,
        }
        if a.is_empty() || b.is_empty() {
            return (!a.is_empty()).cmp(&!b.is_empty());
        }
        for byte in [b'-', b'^', b'.'] {
            match separator(a, b, byte) {
                Ok(rest) => (a, b) = rest,
                Err(order) => return order,
            }
        }
        let digits = starts(a, u8::is_ascii_digit) || starts(b, u8::is_ascii_digit);
        let kind = if digits { u8::is_ascii_digit } else { u8::is_ascii_alphabetic };
        let ((left, rest_a), (right, rest_b)) = (segment(a, kind), segment(b, kind));
        let order = if digits { numbers(left, right) } else { left.cmp(right) };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Steps over a separator that both have; the one that has it alone is the older.
fn separator<'a>(a: &'a [u8], b: &'a [u8], byte: u8) -> Result<(&'a [u8], &'a [u8]), Ordering> {
    match (a.strip_prefix(&[byte]), b.strip_prefix(&[byte])) {
        (Some(a), Some(b)) => Ok((a, b)),
        (None, None) => Ok((a, b)),
        (Some(_), None) => Err(Ordering::Less),
        (None, Some(_)) => Err(Ordering::Greater),
    }
}

/// A number is newer than none; zeros before it do not count.
fn numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| skip(digits, |byte| byte == b'0').to_vec();
    let (left, right) = (significant(a), significant(b));
    (!a.is_empty()).cmp(&!b.is_empty()).then(left.len().cmp(&right.len())).then(left.cmp(&right))
}

fn is_version(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"~-^.".contains(&byte)
}

fn starts(bytes: &[u8], kind: fn(&u8) -> bool) -> bool {
    bytes.first().is_some_and(kind)
}

fn skip(bytes: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !what(*byte)).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}

fn segment(bytes: &[u8], kind: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !kind(byte)).unwrap_or(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_the_boot_loader() {
        for (newer, older) in [
            ("124", "122.1"),
            ("122.1", "122"),
            ("123.45", "122"),
            ("122", "122~rc1"),
            ("122-3", "122-2"),
            ("122.1", "122-3"),
            ("122-3", "122"),
            ("1.0.0", "1.0.0~rc1"),
            ("000010", "9"),
            ("a10", "a9"),
            ("1a", "1"),
            ("1.1", "1.a"),
            ("1_", "1~"),
        ] {
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
            assert_eq!(compare(older, newer), Ordering::Less, "{newer} {older}");
        }
        assert_eq!(compare("00123", "123"), Ordering::Equal);
        assert_eq!(compare("1+2", "1 2"), Ordering::Equal);
    }
}
