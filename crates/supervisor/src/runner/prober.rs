//! Asks a service again and again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use corten_resources::runtime::{HealthCheck, Probe};
use tokio::time::{Instant, sleep_until};

use crate::probe::{ProbeError, ask};

/// Pauses between two questions to a service that starts: a tenth of the time that it has taken, within these.
const READINESS_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// Time for the answer of a service that starts.
const READINESS_TIMEOUT: Duration = Duration::from_secs(3);

type Asking = Pin<Box<dyn Future<Output = Result<(), ProbeError>> + Send>>;

/// At most one question at a time.
#[derive(Default)]
pub(super) struct Prober {
    question: Option<Question>,
    asking: Option<Asking>,
}

#[derive(Debug, Clone)]
struct Question {
    probe: Probe,
    timeout: Duration,
    pace: Pace,
    next: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Pace {
    Readiness { since: Instant },
    Health { interval: Duration },
}

impl Prober {
    /// Asks nothing any more.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Asks `probe` at once, and often.
    pub(super) fn ask_readiness(&mut self, probe: Option<&Probe>) {
        self.reset();
        let since = Instant::now();
        self.question = probe.map(|probe| Question {
            probe: probe.clone(),
            timeout: READINESS_TIMEOUT,
            pace: Pace::Readiness { since },
            next: since,
        });
    }

    /// Goes on asking `health`; begins after one interval.
    pub(super) fn ask_health(&mut self, health: Option<&HealthCheck>) {
        if matches!(&self.question, Some(Question { pace: Pace::Health { .. }, .. })) {
            return;
        }
        self.reset();
        self.question = health.map(|health| {
            let interval = Duration::from_millis(health.interval_ms.max(1));
            Question {
                probe: health.probe.clone(),
                timeout: Duration::from_millis(health.timeout_ms),
                pace: Pace::Health { interval },
                next: Instant::now() + interval,
            }
        });
    }

    /// The next answer; waits for it, forever when nothing is asked. Safe to drop and call again.
    pub(super) async fn answer(&mut self) -> Result<(), String> {
        let Some(question) = &mut self.question else { return std::future::pending().await };
        if self.asking.is_none() {
            sleep_until(question.next).await;
        }
        let asking = self.asking.get_or_insert_with(|| {
            let Question { probe, timeout, .. } = question.clone();
            Box::pin(async move { ask(&probe, timeout).await })
        });
        let answer = asking.await;
        self.asking = None;
        question.next = Instant::now() + question.pace.pause();
        answer.map_err(|error| error.to_string())
    }
}

impl Pace {
    fn pause(self) -> Duration {
        match self {
            Self::Readiness { since } => (since.elapsed() / 10).clamp(READINESS_PAUSE.0, READINESS_PAUSE.1),
            Self::Health { interval } => interval,
        }
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("question", &self.question).finish_non_exhaustive()
    }
}
