//! Forms of certificates, keys and tokens. A refusal never repeats the text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Refusal;

const SECRETBOX_KEY_BYTES: usize = 32;

pub(super) fn certificate(text: &str) -> Result<(), Refusal> {
    match text.matches("-----BEGIN").count() {
        0 => Err(Refusal::because("it is not PEM")),
        1 => corten_pki::inspect(text).map(drop).map_err(|error| Refusal::because(error.to_string())),
        more => Err(Refusal::because(format!("there are {more} PEM blocks"))),
    }
}

pub(super) fn private_key(text: &str) -> Result<(), Refusal> {
    match text.matches("-----BEGIN").count() {
        0 => Err(Refusal::because("it is not PEM")),
        1 => match corten_pki::public_key_pem(text) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refusal::because("it is not a private key that we can use")),
        },
        more => Err(Refusal::because(format!("there are {more} PEM blocks"))),
    }
}

pub(super) fn key32(text: &str) -> Result<(), Refusal> {
    match STANDARD.decode(text).map(zeroize::Zeroizing::new) {
        Ok(key) if key.len() == SECRETBOX_KEY_BYTES => Ok(()),
        Ok(key) => Err(Refusal::because(format!("it has {} bytes", key.len()))),
        Err(_) => Err(Refusal::because("it is not base64")),
    }
}

pub(super) fn token(text: &str) -> Result<(), Refusal> {
    let good = |part: &str, length| {
        part.len() == length && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    match text.split_once('.') {
        Some((id, secret)) if good(id, 6) && good(secret, 16) => Ok(()),
        _ => Err(Refusal::because("it does not have the form of a token")),
    }
}
