//! The proof that machined itself makes progress: a task on the runtime that counts round trips.
//!
//! A round trip takes a worker, the timer, a task of its own and the store's lock. When every worker is blocked, or the
//! store is, the count stands still, and the watchdog's thread sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use corten_resources::runtime::BootTimeline;
use corten_store::Store;

/// Between two round trips.
const INTERVAL: Duration = Duration::from_secs(2);
/// A count that stands still for so long means a deadlock. A busy machine is slow, but not this slow.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for the first beat: the runtime starts after the boot sequence.
const START: Duration = Duration::from_secs(60);

/// The count. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Counts a round trip.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Round trips so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the watchdog's thread remembers of the count.
#[derive(Debug)]
pub(super) struct Pulse {
    count: u64,
    changed: Instant,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { count: 0, changed: now }
    }

    /// Whether the count moved recently enough.
    pub(super) fn is_well(&mut self, count: u64, now: Instant) -> bool {
        if count != self.count {
            *self = Self { count, changed: now };
        }
        let patience = if self.count == 0 { START } else { PATIENCE };
        now.duration_since(self.changed) < patience
    }
}

/// Beats for as long as there is progress, for ever.
pub async fn run(store: Store, heartbeat: Heartbeat) {
    beat_every(INTERVAL, store, heartbeat).await;
}

async fn beat_every(interval: Duration, store: Store, heartbeat: Heartbeat) {
    loop {
        let store = store.clone();
        // What it answers does not matter: that it answers does.
        let trip = tokio::spawn(async move { store.list::<BootTimeline>().len() });
        if trip.await.is_ok() {
            heartbeat.beat();
        }
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_stands_still_is_not_well_until_it_moves_again() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        assert!(pulse.is_well(0, after(59)), "the runtime may need its time to start");
        assert!(!pulse.is_well(0, after(60)));
        assert!(pulse.is_well(1, after(61)));
        assert!(pulse.is_well(1, after(80)));
        assert!(!pulse.is_well(1, after(81)));
        assert!(pulse.is_well(2, after(82)));
    }

    #[test]
    fn a_runtime_whose_workers_are_all_blocked_does_not_beat() {
        let runtime = crate::run::runtime_of_tokio().unwrap();
        let heartbeat = Heartbeat::default();
        let store = Store::new();
        corten_resources::register_all(&store);
        runtime.spawn(beat_every(Duration::from_millis(5), store, heartbeat.clone()));
        let moves = |within: u64| {
            let before = heartbeat.count();
            let end = Instant::now() + Duration::from_millis(within);
            while Instant::now() < end && heartbeat.count() == before {
                std::thread::sleep(Duration::from_millis(5));
            }
            heartbeat.count() != before
        };
        assert!(moves(10_000));
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = Arc::new(std::sync::Mutex::new(blocked));
        for _ in 0..4 {
            let blocked = Arc::clone(&blocked);
            runtime.spawn(async move { blocked.lock().unwrap().recv().unwrap_err() });
        }
        std::thread::sleep(Duration::from_millis(200));
        assert!(!moves(300), "both workers are blocked");
        drop(release);
        assert!(moves(10_000), "and it recovers");
    }
}
