//! A transfer as those see it who do not take part in it: how far it is, and whether somebody is at it.
//!
//! One at a time sends its bytes. Whoever falls silent has lost its connection, maybe without our knowledge, and another
//! one may go on in its place; an attempt to write at the wrong place does no harm.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A transfer that nobody writes to for so long may be replaced by another one.
const IDLE: Duration = Duration::from_secs(60);
/// A sender that sends nothing for so long may be replaced by another one of the same bundle.
const SILENT: Duration = Duration::from_secs(20);

/// The transfer, if there is one. Held for a moment at a time.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    transfer: Option<Moment>,
    sender: Option<u64>,
    /// Name of the next sender.
    next: u64,
}

/// How far a transfer is.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) upload: String,
    pub(super) version: String,
    pub(super) offset: u64,
    pub(super) total: u64,
    /// When it last moved; in the future while there is work that takes long.
    pub(super) last: Instant,
}

impl Moment {
    fn age(&self) -> Duration {
        Instant::now().saturating_duration_since(self.last)
    }
}

impl Inner {
    fn in_the_way_of(&self, upload: &str) -> Option<String> {
        let moment = self.transfer.as_ref()?;
        let busy = match moment.upload == upload {
            true => moment.last > Instant::now() || (self.sender.is_some() && moment.age() < SILENT),
            false => moment.age() < IDLE,
        };
        busy.then(|| moment.version.clone())
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others see how far it is.
    pub(super) fn show(&self, moment: Moment) {
        let mut inner = self.lock();
        if inner.transfer.as_ref().is_some_and(|transfer| transfer.upload != moment.upload) {
            inner.sender = None;
        }
        inner.transfer = Some(moment);
    }

    /// There is none any more.
    pub(super) fn clear(&self) {
        let mut inner = self.lock();
        (inner.transfer, inner.sender) = (None, None);
    }

    /// How far it is.
    pub(super) fn get(&self) -> Option<Moment> {
        self.lock().transfer.clone()
    }

    /// Version of the transfer that somebody is at.
    pub(super) fn being_written(&self) -> Option<String> {
        self.get().filter(|moment| moment.age() < IDLE).map(|moment| moment.version)
    }

    /// Version of the transfer that keeps a bundle of this name waiting: another one, or the same from another sender.
    pub(super) fn in_the_way_of(&self, upload: &str) -> Option<String> {
        self.lock().in_the_way_of(upload)
    }

    /// A name for who sends this transfer from now on; nothing when somebody does.
    pub(super) fn claim(&self, upload: &str) -> Option<u64> {
        let mut inner = self.lock();
        if inner.in_the_way_of(upload).is_some() {
            return None;
        }
        inner.next += 1;
        inner.sender = Some(inner.next);
        inner.sender
    }

    /// The sender is gone.
    pub(super) fn release(&self, sender: u64) {
        let mut inner = self.lock();
        if inner.sender == Some(sender) {
            inner.sender = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(upload: &str) -> Moment {
        Moment { upload: upload.into(), version: "0.2.0".into(), offset: 1, total: 2, last: Instant::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn another_bundle_waits_until_the_transfer_was_left() {
        let seen = Seen::default();
        assert_eq!((seen.in_the_way_of("a"), seen.being_written()), (None, None));
        seen.show(moment("a"));
        assert_eq!((seen.in_the_way_of("b").as_deref(), seen.in_the_way_of("a")), (Some("0.2.0"), None));
        tokio::time::advance(IDLE).await;
        assert_eq!((seen.in_the_way_of("b"), seen.being_written()), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn one_sender_at_a_time_and_the_next_goes_on_when_it_is_gone() {
        let seen = Seen::default();
        seen.show(moment("a"));
        let first = seen.claim("a").unwrap();
        assert_eq!((seen.claim("a"), seen.in_the_way_of("a").as_deref()), (None, Some("0.2.0")));
        seen.release(first);
        let second = seen.claim("a").unwrap();
        seen.release(first);
        assert_eq!(seen.claim("a"), None, "one that left before says nothing about the second");
        seen.release(second);
        assert!(seen.claim("a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sender_is_replaced_but_not_while_the_slot_is_read_back() {
        let seen = Seen::default();
        seen.show(moment("a"));
        seen.claim("a").unwrap();
        tokio::time::advance(SILENT).await;
        assert!(seen.claim("a").is_some());
        seen.show(Moment { last: Instant::now() + IDLE, ..moment("a") });
        tokio::time::advance(SILENT).await;
        assert_eq!(seen.claim("a"), None);
        seen.show(moment("b"));
        assert!(seen.claim("b").is_some(), "the sender of the one before does not count");
        seen.clear();
        assert!(seen.get().is_none());
    }
}
