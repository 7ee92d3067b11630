//! The end of apid: it was asked to stop, and what callers wait for still reaches them.
//!
//! A node that goes down stops apid while the answer to whoever asked for that is under way. So no connection is taken any
//! more, the open ones are told to send no further call, and calls that were not answered get some time. An answer that
//! has begun is either nearly done or a stream, which would never be: it gets little.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Calls at a time that wait for an answer: what they send may have to wait in our memory.
const CALLS: usize = 512;
/// For calls that are not answered. The supervisor kills apid later than this.
const UNANSWERED: Duration = Duration::from_secs(2);
/// For an answer that has begun.
const BEGUN: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// Whether apid ends, and which calls wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Drain {
    ending: watch::Sender<bool>,
    unanswered: AtomicUsize,
}

/// A call that waits for the head of its answer.
#[derive(Debug)]
pub(super) struct Unanswered<'a>(&'a AtomicUsize);

/// Waits for SIGTERM.
pub(super) async fn requested() {
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // SIGTERM ends the process at once then, as if there were no draining.
        Err(error) => {
            warn!(%error, "cannot wait for the request to end");
            std::future::pending::<()>().await;
        }
    }
}

impl Drain {
    /// Counts a call until the guard is dropped. There is none when too many calls wait already.
    pub(super) fn call(&self) -> Option<Unanswered<'_>> {
        let before = self.unanswered.fetch_add(1, Ordering::Relaxed);
        let call = Unanswered(&self.unanswered);
        (before < CALLS).then_some(call)
    }

    /// Waits until apid ends.
    pub(super) async fn ending(&self) {
        // Fails only without a sender, and `self` is one.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// Tells every connection, and waits until they are `closed`, or nothing is left that is worth waiting for.
    pub(super) async fn finish(&self, closed: impl Future<Output = ()>) {
        self.ending.send_replace(true);
        tokio::select! {
            () = closed => {}
            () = self.answered() => {}
        }
    }

    /// Waits until for a while no call was unanswered, or it has been long enough.
    async fn answered(&self) {
        let deadline = Instant::now() + UNANSWERED;
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            if self.unanswered.load(Ordering::Relaxed) > 0 {
                last = now;
            }
            if now >= deadline || now - last >= BEGUN {
                return;
            }
            sleep(POLL).await;
        }
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn finished(drain: &Drain, closed: impl Future<Output = ()>) -> Duration {
        let start = Instant::now();
        drain.finish(closed).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_once_all_connections_are_closed() {
        let drain = Drain::default();
        assert!(finished(&drain, async {}).await < POLL);
        drain.ending().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_gets_little_time_and_an_unanswered_call_more() {
        let drain = Drain::default();
        let pending = std::future::pending;
        let stream = finished(&drain, pending()).await;
        assert!(stream >= BEGUN && stream < BEGUN + POLL * 2, "{stream:?}");
        let call = drain.call();
        let unanswered = finished(&drain, pending()).await;
        assert!(unanswered >= UNANSWERED && unanswered < UNANSWERED + POLL * 2, "{unanswered:?}");
        drop(call);
        assert!(finished(&drain, pending()).await < UNANSWERED);
    }

    #[test]
    fn of_too_many_calls_at_a_time_the_last_ones_are_refused() {
        let drain = Drain::default();
        let mut calls: Vec<_> = (0..CALLS).map(|_| drain.call().unwrap()).collect();
        assert!(drain.call().is_none() && drain.call().is_none());
        calls.pop();
        assert!(drain.call().is_some());
    }
}
