//! The fingerprint of a certificate: sha256 of its DER form, written as hexadecimal.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// sha256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits, with or without colons; this has {digits}")]
pub struct FingerprintError {
    digits: usize,
}

impl Fingerprint {
    /// Fingerprint of a certificate in DER form.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        let text = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("SHA256:")).unwrap_or(text);
        let digits: Option<Vec<u8>> = text
            .chars()
            .filter(|c| !matches!(c, ':' | ' '))
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.unwrap_or_default();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(FingerprintError { digits: digits.len() });
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            if let [high, low] = pair {
                *byte = high << 4 | low;
            }
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_usual_form_is_read() {
        let fingerprint = Fingerprint::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint.to_string(), hex);
        let upper = hex.to_uppercase();
        let colons = upper.as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).into_owned());
        let colons = colons.collect::<Vec<_>>().join(":");
        for text in [hex.to_owned(), format!("sha256:{hex}"), colons, format!(" {hex}\n")] {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
    }

    #[test]
    fn another_length_or_a_wrong_digit_is_refused() {
        for text in ["", "ab", "zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
