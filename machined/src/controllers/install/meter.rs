//! How fast a step is, and how long it still takes.

use std::time::{Duration, Instant};

/// The rate is that of at least this long, so that it does not jump.
const WINDOW: Duration = Duration::from_secs(1);
/// A new measurement counts for this share, in percent.
const SHARE: u64 = 30;

/// Measures one step after the other.
#[derive(Debug)]
pub(super) struct Meter {
    step: &'static str,
    from: (Instant, u64),
    rate: u64,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { step: "", from: (now, 0), rate: 0 }
    }

    /// Bytes in a second and milliseconds until the end of the step; 0 for what is not known.
    pub(super) fn look(&mut self, now: Instant, step: &'static str, done: u64, total: u64) -> (u64, u64) {
        if step != self.step || done < self.from.1 {
            *self = Self { step, from: (now, done), rate: 0 };
        }
        let passed = now.saturating_duration_since(self.from.0);
        if passed >= WINDOW {
            let bytes = u128::from(done - self.from.1) * 1000 / passed.as_millis().max(1);
            let measured = u64::try_from(bytes).unwrap_or(u64::MAX);
            self.rate = if self.rate == 0 {
                measured
            } else {
                (self.rate / 100 * (100 - SHARE)).saturating_add(measured / 100 * SHARE)
            };
            self.from = (now, done);
        }
        let left = u128::from(total.saturating_sub(done)) * 1000;
        let remaining = left.checked_div(u128::from(self.rate)).unwrap_or(0);
        (self.rate, u64::try_from(remaining).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_disk_has_a_steady_rate() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        assert_eq!(meter.look(start, "root", 0, 1000), (0, 0), "nothing is known yet");
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(meter.look(at(1), "root", 100, 1000), (100, 9000));
        assert_eq!(meter.look(at(2), "root", 200, 1000), (100, 8000));
        assert_eq!(meter.look(at(10), "root", 1000, 1000), (100, 0));
    }

    #[test]
    fn a_new_step_begins_anew_and_a_disk_that_stands_still_has_no_end() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        meter.look(start, "a", 0, 100);
        meter.look(start + WINDOW, "a", 100, 100);
        assert_eq!(meter.look(start + 2 * WINDOW, "b", 0, 50), (0, 0));
        assert_eq!(meter.look(start + 3 * WINDOW, "b", 0, 50), (0, 0));
    }
}
