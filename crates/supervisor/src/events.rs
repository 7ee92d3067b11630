//! What happened on the node, newest last: a bounded ring, and a live stream that begins where the ring ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How many events are kept, and how far a follower may fall behind.
const CAPACITY: usize = 1024;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Counts from 1.
    pub sequence: u64,
    /// When.
    pub time: Timestamp,
    /// What sort of thing, dotted: `service.ready`, `api.call`.
    pub kind: String,
    /// To what it happened: the name of a service, for one.
    pub source: String,
    /// What happened, in words.
    pub message: String,
    /// The same, for programs.
    pub fields: BTreeMap<String, String>,
}

/// The events of this node. A clone is another handle on the same events.
#[derive(Debug, Clone)]
pub struct EventBus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Ring {
    sequence: u64,
    events: VecDeque<Arc<Event>>,
}

impl Default for EventBus {
    fn default() -> Self {
        Self::new()
    }
}

impl EventBus {
    /// Without events.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { ring: Mutex::default(), live: broadcast::Sender::new(CAPACITY) }) }
    }

    /// Adds an event.
    pub fn publish(
        &self,
        kind: &str,
        source: &str,
        message: impl Into<String>,
        fields: BTreeMap<String, String>,
    ) {
        let mut ring = self.ring();
        ring.sequence += 1;
        let event = Arc::new(Event {
            sequence: ring.sequence,
            time: Timestamp::now(),
            kind: kind.into(),
            source: source.into(),
            message: message.into(),
            fields,
        });
        if ring.events.len() == CAPACITY {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        let _ = self.shared.live.send(event); // nobody may be listening
    }

    /// The last `count` events, oldest first.
    pub fn tail(&self, count: usize) -> Vec<Arc<Event>> {
        self.ring().last(count)
    }

    /// The last `count` events, and then each new one, with nothing in between left out.
    pub fn follow(&self, count: usize) -> EventStream {
        let ring = self.ring();
        EventStream { past: ring.last(count).into(), live: self.shared.live.subscribe() }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn last(&self, count: usize) -> Vec<Arc<Event>> {
        self.events.iter().skip(self.events.len().saturating_sub(count)).cloned().collect()
    }
}

/// See [`EventBus::follow`].
#[derive(Debug)]
pub struct EventStream {
    past: VecDeque<Arc<Event>>,
    live: broadcast::Receiver<Arc<Event>>,
}

impl EventStream {
    /// The next event; waits for it. `None` when the bus is gone. A follower that is too slow misses events: the
    /// sequence shows the gap.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        if let Some(event) = self.past.pop_front() {
            return Some(event);
        }
        loop {
            match self.live.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a follower of the events was too slow");
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(bus: &EventBus, count: usize) {
        for n in 0..count {
            bus.publish("test", "source", format!("event {n}"), BTreeMap::new());
        }
    }

    #[test]
    fn the_ring_keeps_the_newest() {
        let bus = EventBus::new();
        publish(&bus, CAPACITY + 10);
        let all = bus.tail(usize::MAX);
        assert_eq!((all.len(), all[0].sequence), (CAPACITY, 11));
        assert_eq!(bus.tail(2).iter().map(|event| event.sequence).collect::<Vec<_>>(), [1033, 1034]);
    }

    #[tokio::test]
    async fn a_follower_gets_the_past_and_then_the_present_without_a_gap() {
        let bus = EventBus::new();
        publish(&bus, 3);
        let mut stream = bus.follow(2);
        publish(&bus, 2);
        for sequence in 2..=5 {
            assert_eq!(stream.next().await.unwrap().sequence, sequence);
        }
    }
}
