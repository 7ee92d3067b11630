//! The public half of a private key.

use rcgen::KeyPair;

use crate::PkiError;

/// The public key of a PKCS#8 private key, as `BEGIN PUBLIC KEY` (RFC 7468, section 13).
///
/// # Errors
/// When `key_pem` is not a private key that we know.
pub fn public_key_pem(key_pem: &str) -> Result<String, PkiError> {
    Ok(KeyPair::from_pem(key_pem).map_err(PkiError::Key)?.public_key_pem())
}
