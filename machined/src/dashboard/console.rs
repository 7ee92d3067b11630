//! Output to a terminal that perhaps nobody reads: it never waits.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

/// So much is kept for a slow reader; what is more is dropped.
const MOST: usize = 8 * 1024;

/// A terminal, or a pipe.
#[derive(Debug)]
pub(super) struct Console {
    fd: OwnedFd,
    waiting: VecDeque<u8>,
    dropped: bool,
}

impl Console {
    /// Writes to a copy of `fd`, and makes it non-blocking.
    pub(super) fn new(fd: impl AsFd) -> io::Result<Self> {
        let fd = rustix::io::dup(fd)?;
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        Ok(Self { fd, waiting: VecDeque::new(), dropped: false })
    }

    /// A line, without its end. Terminals need the carriage return; control characters are made harmless, because parts of
    /// a line come from others.
    pub(super) fn line(&mut self, text: &str) {
        if self.waiting.len() + text.len() > MOST {
            self.dropped = true;
            return;
        }
        let shown = text.chars().map(|letter| if letter.is_control() { '?' } else { letter });
        let line: String = "corten: ".chars().chain(shown).chain("\r\n".chars()).collect();
        self.waiting.extend(line.bytes());
    }

    /// Writes as much as is taken now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match rustix::io::write(&self.fd, front) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether something waits for the reader.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether lines were dropped, and the reader is back; then they are forgotten.
    pub(super) fn take_dropped(&mut self) -> bool {
        !self.is_waiting() && std::mem::take(&mut self.dropped)
    }
}

impl AsFd for Console {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_reader_that_never_reads_stops_nothing() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut console = Console::new(&writer).unwrap();
        for number in 0..10_000 {
            console.line(&format!("line {number} that is long enough to fill the pipe at some time"));
            console.flush().unwrap();
        }
        assert!(console.is_waiting() && console.waiting.len() <= 2 * MOST);
        assert!(!console.take_dropped(), "the reader is not back yet");
        let mut reader = reader;
        let mut buffer = vec![0; 1 << 20];
        while console.is_waiting() {
            assert!(reader.read(&mut buffer).unwrap() > 0);
            console.flush().unwrap();
        }
        assert!(console.take_dropped() && !console.take_dropped());
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut console = Console::new(&writer).unwrap();
        console.line("hostname \u{1b}[2J\nx");
        console.flush().unwrap();
        drop((console, writer));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "corten: hostname ?[2J?x\r\n");
    }
}
