//! The newest lines of one log.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How much each service may keep in memory.
pub(super) const RING_BYTES: usize = 256 * 1024;
/// How many lines a follower may fall behind.
pub(super) const FOLLOW_LINES: usize = 256;
/// What a line costs beside its text.
const OVERHEAD: usize = 32;

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counts from 1 within the log.
    pub sequence: u64,
    /// When it came.
    pub time: Timestamp,
    /// The line, without its end.
    pub text: Arc<str>,
}

/// A queue of lines that is bounded in bytes.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    bytes: usize,
    sequence: u64,
    lines: VecDeque<Line>,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, bytes: 0, sequence: 0, lines: VecDeque::new() }
    }

    pub(super) fn push(&mut self, time: Timestamp, text: String) -> Line {
        self.sequence += 1;
        let line = Line { sequence: self.sequence, time, text: text.into() };
        self.bytes += cost(&line);
        self.lines.push_back(line.clone());
        while self.bytes > self.capacity && self.lines.len() > 1 {
            if let Some(oldest) = self.lines.pop_front() {
                self.bytes -= cost(&oldest);
            }
        }
        line
    }

    pub(super) fn last(&self, count: usize) -> Vec<Line> {
        self.lines.iter().skip(self.lines.len().saturating_sub(count)).cloned().collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn last_time(&self) -> Option<Timestamp> {
        Some(self.lines.back()?.time)
    }
}

fn cost(line: &Line) -> usize {
    line.text.len() + OVERHEAD
}

/// Lines that are there, and then those that come.
#[derive(Debug)]
pub struct Follow {
    past: VecDeque<Line>,
    live: broadcast::Receiver<Line>,
}

impl Follow {
    pub(super) fn new(past: Vec<Line>, live: broadcast::Receiver<Line>) -> Self {
        Self { past: past.into(), live }
    }

    /// The next line; waits for it. A follower that is too slow misses lines: the sequence shows the gap. `None` when
    /// the log is gone.
    pub async fn next(&mut self) -> Option<Line> {
        if let Some(line) = self.past.pop_front() {
            return Some(line);
        }
        loop {
            match self.live.recv().await {
                Ok(line) => return Some(line),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_never_holds_more_than_its_bytes_and_keeps_the_newest() {
        let mut ring = Ring::new(1000);
        for n in 0..100 {
            ring.push(Timestamp::UNIX_EPOCH, format!("{n:>18}"));
            assert!(ring.bytes() <= 1000);
        }
        assert_eq!(ring.len(), 20);
        assert_eq!(ring.last(1)[0].sequence, 100);
    }

    #[test]
    fn a_line_bigger_than_the_ring_is_kept_alone() {
        let mut ring = Ring::new(100);
        ring.push(Timestamp::UNIX_EPOCH, "small".into());
        ring.push(Timestamp::UNIX_EPOCH, "x".repeat(500));
        assert_eq!(ring.len(), 1);
    }
}
