//! The bounded queue between the store and one watcher.
//!
//! The store pushes under the lock of the kind, so the order is the order of the changes; a push never waits. The
//! watcher takes everything at once, so both sides touch the lock rarely.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How many changes a watcher may fall behind.
pub(crate) const CAPACITY: usize = 1024;

/// The queue.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    events: VecDeque<T>,
    overflowed: bool,
    waker: Option<Waker>,
}

/// What a watcher finds in its queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There were events; they are in the given buffer now.
    Events,
    /// Events were dropped since the last time.
    Overflowed,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { events: VecDeque::new(), overflowed: false, waker: None }) }
    }

    /// Adds an event, or drops all of them and remembers that when the queue is full.
    pub(crate) fn push(&self, event: T) {
        let waker = {
            let mut state = self.lock();
            if state.overflowed {
                return;
            }
            if state.events.len() >= CAPACITY {
                state.events.clear();
                state.overflowed = true;
            } else {
                state.events.push_back(event);
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves all events into `buffer`, which must be empty.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, buffer: &mut VecDeque<T>) -> Poll<Taken> {
        let mut state = self.lock();
        if state.overflowed {
            state.overflowed = false;
            return Poll::Ready(Taken::Overflowed);
        }
        if state.events.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut state.events, buffer);
        Poll::Ready(Taken::Events)
    }

    /// Forgets everything that is queued.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.events.clear();
        state.overflowed = false;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
