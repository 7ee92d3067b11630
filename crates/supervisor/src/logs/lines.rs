//! Makes lines out of pieces of output.

/// A longer line is cut into several.
const LONGEST: usize = 16 * 1024;

/// Keeps the beginning of a line until its end comes.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    partial: Vec<u8>,
}

impl Splitter {
    /// Adds output, and calls `emit` for each line that is complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut emit: impl FnMut(String)) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let room = LONGEST - self.partial.len();
            let take = end.unwrap_or(bytes.len()).min(room);
            let (now, later) = bytes.split_at(take);
            self.partial.extend_from_slice(now);
            bytes = later;
            if bytes.first() == Some(&b'\n') {
                bytes = bytes.split_first().map_or(&[], |(_, rest)| rest);
                emit(self.take());
            } else if self.partial.len() >= LONGEST {
                emit(self.take());
            }
        }
    }

    /// The beginning of a line that never ended.
    pub(super) fn rest(&mut self) -> Option<String> {
        if self.partial.is_empty() { None } else { Some(self.take()) }
    }

    fn take(&mut self) -> String {
        let text =
            String::from_utf8_lossy(self.partial.strip_suffix(b"\r").unwrap_or(&self.partial)).into_owned();
        self.partial.clear();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line));
        }
        lines.extend(splitter.rest());
        lines
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(split(&[b"a\nb", b"c\r\n\nd"]), ["a", "bc", "", "d"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_nothing_is_lost() {
        let lines = split(&[&vec![b'x'; LONGEST + 5], b"\nend\n"]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LONGEST, 5, 3]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(split(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }
}
