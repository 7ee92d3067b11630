//! The last messages of the kernel, for those who ask later and those who follow.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use corten_sys::kmsg::Record;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::broadcast::{self, error::RecvError};

/// How many messages are kept.
const CAPACITY: usize = 4096;
/// How far a follower may fall behind. The places are made at once, whether anybody follows or not.
const FOLLOW: usize = 256;

/// The messages. A clone is another handle on the same ones.
#[derive(Debug, Clone)]
pub struct KernelRing {
    kept: Arc<Mutex<VecDeque<Arc<Record>>>>,
    live: broadcast::Sender<Arc<Record>>,
}

impl Default for KernelRing {
    fn default() -> Self {
        Self { kept: Arc::default(), live: broadcast::Sender::new(FOLLOW) }
    }
}

impl KernelRing {
    /// Adds a message.
    pub fn push(&self, record: Record) {
        let record = Arc::new(record);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == CAPACITY {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&record));
        let _ = self.live.send(record); // nobody may be listening
    }

    /// The newest messages as lines, in at most `limit` bytes.
    pub fn text(&self, limit: usize) -> String {
        let kept: Vec<_> = self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        crate::boot::kernel_log::text(&kept, limit)
    }

    /// The last `count` messages, oldest first, and with `follow` each new one. A follower that is too slow misses some:
    /// the sequence numbers show the gap.
    pub fn read(&self, count: usize, follow: bool) -> BoxStream<'static, Arc<Record>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let past: Vec<_> = kept.iter().skip(kept.len().saturating_sub(count)).cloned().collect();
        let live = follow.then(|| self.live.subscribe());
        drop(kept);
        let live = stream::unfold(live, |live| async {
            let mut live = live?;
            loop {
                match live.recv().await {
                    Ok(record) => return Some((record, Some(live))),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        stream::iter(past).chain(live).boxed()
    }
}

#[cfg(test)]
mod tests {
    use corten_sys::kmsg::Level;

    use super::*;

    fn record(sequence: u64) -> Record {
        Record { level: Level::Info, facility: 0, sequence, microseconds: 0, message: String::new() }
    }

    #[tokio::test]
    async fn a_follower_gets_the_past_and_then_the_present() {
        let ring = KernelRing::default();
        (1..=3).for_each(|n| ring.push(record(n)));
        let mut stream = ring.read(2, true);
        ring.push(record(4));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(stream.next().await.unwrap().sequence);
        }
        assert_eq!(seen, [2, 3, 4]);
        assert_eq!(ring.read(1, false).count().await, 1);
    }
}
