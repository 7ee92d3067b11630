//! Frames that were cut, altered, or come from another version.

use proptest::prelude::*;

use super::*;

const MAGIC: Magic = *b"CORTENTT";

/// A frame as another version might write it.
fn foreign(major: u16, header_growth: &[u8], counter: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = encode(MAGIC, counter, payload);
    let header_len = u32::try_from(HEADER_LEN + header_growth.len()).unwrap();
    bytes[8..10].copy_from_slice(&major.to_le_bytes());
    bytes[10..12].copy_from_slice(&7u16.to_le_bytes());
    bytes[12..16].copy_from_slice(&header_len.to_le_bytes());
    bytes.splice(HEADER_LEN..HEADER_LEN, header_growth.iter().copied());
    let digest =
        Sha256::new().chain_update(&bytes[..DIGEST_AT]).chain_update(&bytes[HEADER_LEN..]).finalize();
    bytes[DIGEST_AT..HEADER_LEN].copy_from_slice(&digest);
    bytes
}

#[test]
fn a_header_that_grew_is_understood() {
    let frame = decode(MAGIC, &foreign(MAJOR, b"more to come", 5, b"payload")).unwrap();
    assert_eq!(frame, Frame { counter: 5, payload: b"payload".to_vec() });
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut bytes = foreign(MAJOR + 1, b"", 5, b"payload");
    assert!(matches!(decode(MAGIC, &bytes), Err(FrameError::Newer { major: 2, counter: 5 })));
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(decode(MAGIC, &bytes), Err(FrameError::Checksum)));
}

#[test]
fn blank_and_foreign_bytes_are_told_apart() {
    assert!(matches!(decode(MAGIC, &[0; 512]), Err(FrameError::Blank)));
    assert!(matches!(decode(MAGIC, &[b'x'; 512]), Err(FrameError::NotOurs)));
}

#[test]
fn a_frame_that_was_cut_at_any_length_is_refused() {
    let bytes = encode(MAGIC, 1, &[0xab; 300]);
    for len in 0..bytes.len() {
        decode(MAGIC, &bytes[..len]).unwrap_err();
    }
}

proptest! {
    #[test]
    fn a_frame_comes_back_as_it_went(counter: u64, payload: Vec<u8>, behind: Vec<u8>) {
        let mut bytes = encode(MAGIC, counter, &payload);
        bytes.extend(behind);
        prop_assert_eq!(decode(MAGIC, &bytes).unwrap(), Frame { counter, payload });
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed(payload: Vec<u8>, at: prop::sample::Index, bit in 0u32..8) {
        let mut bytes = encode(MAGIC, 9, &payload);
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        prop_assert!(decode(MAGIC, &bytes).is_err());
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes: Vec<u8>) {
        let mut with_magic = MAGIC.to_vec();
        with_magic.extend(&bytes);
        prop_assert!(decode(MAGIC, &bytes).is_err());
        prop_assert!(decode(MAGIC, &with_magic).is_err());
    }
}
