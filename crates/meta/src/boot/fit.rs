//! Makes a record fit into its half by leaving out the oldest lines of its logs.

use std::borrow::Cow;

use super::record::BootRecord;

/// The JSON of the record in at most this many bytes; absent when even without its logs it is larger.
pub(in crate::boot) fn fit(record: &BootRecord, limit: usize) -> Result<Option<Vec<u8>>, serde_json::Error> {
    let mut record = Cow::Borrowed(record);
    loop {
        let bytes = serde_json::to_vec(&*record)?;
        let excess = bytes.len().saturating_sub(limit);
        if excess == 0 {
            return Ok(Some(bytes));
        }
        let shorter = record.to_mut();
        let log = if shorter.kernel_log.is_empty() { &mut shorter.pstore } else { &mut shorter.kernel_log };
        if log.is_empty() {
            return Ok(None);
        }
        drop_front(log, excess);
    }
}

/// Drops the oldest text that takes at least this many bytes as JSON, up to the end of a line if there is one soon.
fn drop_front(log: &mut String, excess: usize) {
    let mut dropped = 0;
    let mut cut = log.len();
    for (at, character) in log.char_indices() {
        if dropped >= excess {
            cut = at;
            break;
        }
        dropped += json_len(character);
    }
    let rest = log.get(cut..).unwrap_or_default();
    let line = rest.find('\n').map_or(0, |end| end + 1);
    log.drain(..cut + line);
}

/// Bytes that the character takes in a JSON string.
fn json_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_fits_is_the_end_of_what_was_there(
            kernel_log in "[a-z\"\\\\\u{0}-\u{1f}é😀\n]{0,400}", pstore in "[a-z\n😀]{0,200}", room in 0..900usize
        ) {
            let record = BootRecord { kernel_log, pstore, ..BootRecord::default() };
            let bare = serde_json::to_vec(&BootRecord::default()).unwrap().len();
            let bytes = fit(&record, bare + room).unwrap().unwrap();
            prop_assert!(bytes.len() <= bare + room);
            let fitted: BootRecord = serde_json::from_slice(&bytes).unwrap();
            prop_assert!(record.kernel_log.ends_with(&fitted.kernel_log));
            prop_assert!(record.pstore.ends_with(&fitted.pstore));
            prop_assert!(fitted.pstore == record.pstore || fitted.kernel_log.is_empty());
        }
    }

    #[test]
    fn what_cannot_fit_is_told() {
        assert!(fit(&BootRecord::default(), 10).unwrap().is_none());
    }
}
