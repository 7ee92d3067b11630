//! Exponential backoff with jitter.

use std::time::Duration;

/// Pauses that double from one failure to the next.
#[derive(Debug, Clone)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses between `shortest` and `longest`, before jitter.
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest), failures: 0 }
    }

    /// The pause after one more failure: at most a quarter longer or shorter than the plain exponential one, so that
    /// what failed together does not retry together.
    pub fn next_pause(&mut self) -> Duration {
        self.next_pause_with(rand::random_range(0.75..1.25))
    }

    /// [`Self::next_pause`] with a given jitter.
    pub fn next_pause_with(&mut self, jitter: f64) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.shortest.saturating_mul(factor).min(self.longest).mul_f64(jitter)
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures there were since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let pauses: Vec<_> = (0..6).map(|_| backoff.next_pause_with(1.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next_pause_with(1.0).as_millis(), 100);
    }

    #[test]
    fn jitter_stays_within_a_quarter_even_after_many_failures() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        for _ in 0..200 {
            let plain = backoff.clone().next_pause_with(1.0);
            let pause = backoff.next_pause();
            assert!(pause >= plain.mul_f64(0.75) && pause <= plain.mul_f64(1.25), "{pause:?} {plain:?}");
        }
    }
}
