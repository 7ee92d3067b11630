//! The wait for a device: looks, loads drivers, and looks again, until it is there or the deadline has passed.

use std::time::{Duration, Instant};

use corten_sys::uevent::Listener;

use super::drivers::Drivers;
use super::guard::Guard;

/// How long to wait for an event before looking anyway.
const POLL: Duration = Duration::from_millis(100);
/// From the start of the search. Controllers with many disks, and drives for discs, take their time.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a search takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) drivers: &'a Drivers,
    /// Petted at each look.
    pub(super) guard: &'a Guard,
    /// How long the likely disks have, before the drivers of others are loaded.
    pub(super) patience: Duration,
}

/// Nothing was found in time.
#[derive(Debug)]
pub(super) struct TooLate {
    pub(super) seconds: u64,
    /// What there was instead, as the last look told it.
    pub(super) seen: String,
}

/// What a look answers: the thing itself, or what there is instead.
pub(super) type Look<T> = Result<T, Vec<String>>;

impl Search<'_> {
    /// Looks until `look` finds something, loading drivers of devices that appear meanwhile.
    pub(super) fn run<T>(&self, mut look: impl FnMut() -> Look<T>) -> Result<T, TooLate> {
        let start = Instant::now();
        // Before the first look: what appears between the look and the wait must wake us.
        let listener = Listener::open().ok();
        loop {
            let seen = match look() {
                Ok(found) => return Ok(found),
                Err(seen) => seen,
            };
            if start.elapsed() >= DEADLINE {
                return Err(TooLate { seconds: DEADLINE.as_secs(), seen: told(&seen) });
            }
            self.guard.pet();
            if self.drivers.found_none() || start.elapsed() >= self.patience {
                self.drivers.load_present();
            }
            match listener.as_ref().map(|listener| listener.wait(POLL)) {
                Some(Ok(Some(event))) => {
                    event.modalias().into_iter().for_each(|alias| self.drivers.load_alias(alias));
                }
                Some(Ok(None)) => {}
                _ => std::thread::sleep(POLL),
            }
        }
    }
}

fn told(seen: &[String]) -> String {
    if seen.is_empty() { "no disk was found".to_owned() } else { seen.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_machine_is_told_as_such() {
        assert_eq!(told(&[]), "no disk was found");
        assert_eq!(told(&["a".to_owned(), "b".to_owned()]), "a, b");
    }
}
