//! Where a config can come from before STATE has one: the kernel command line and QEMU's fw_cfg.

use std::io::Read;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A text and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) source: &'static str,
    pub(super) text: String,
}

/// The largest config that is read, in bytes.
const LIMIT: u64 = 4 << 20;

/// Decodes `corten.config.inline`: base64 of the documents, which may be zstd-compressed.
///
/// # Errors
/// Says what is wrong with the value.
pub(super) fn inline(value: &str) -> Result<Found, String> {
    let bytes = BASE64_STANDARD.decode(value).map_err(|error| format!("it is not base64: {error}"))?;
    let plain = if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut text = Vec::new();
        let decoder =
            zstd::stream::read::Decoder::new(bytes.as_slice()).map_err(|error| error.to_string())?;
        decoder
            .take(LIMIT)
            .read_to_end(&mut text)
            .map_err(|error| format!("it does not decompress: {error}"))?;
        text
    } else {
        bytes
    };
    let text = String::from_utf8(plain).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(Found { source: "cmdline", text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_documents_may_be_compressed() {
        let text = "kind: Machine\n";
        let packed = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
        for bytes in [text.as_bytes(), &packed] {
            assert_eq!(inline(&BASE64_STANDARD.encode(bytes)).unwrap().text, text);
        }
        assert!(inline("%%%").unwrap_err().contains("base64"));
    }
}
