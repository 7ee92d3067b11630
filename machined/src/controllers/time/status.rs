//! Tells how the clock fares; owns `TimeStatus`.
//!
//! The kernel is asked, not chronyd: whoever keeps the clock, the kernel's word is what counts for its users.

use std::time::{Duration, Instant, SystemTime};

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{TimeServerSpec, TimeStatus};
use corten_store::Kind;
use corten_sys::ntp::{ClockState, clock_state};

use super::chrony::{DEFAULT_POOL, wanted};

/// Pauses between two looks.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);
/// The clock was set, and did not just run fast or slow.
const STEP_MS: i64 = 250;

/// The controller.
#[derive(Debug, Default)]
pub(super) struct TimeStatusController {
    last: Option<(Instant, SystemTime)>,
    stepped_ms: Option<i64>,
}

impl Controller for TimeStatusController {
    fn name(&self) -> &'static str {
        "time/status"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[TimeServerSpec::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[TimeStatus::NAME]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let now = (Instant::now(), SystemTime::now());
        if let Some(step) = self.last.map(|last| jump_ms(last, now)).filter(|step| step.abs() >= STEP_MS) {
            tracing::warn!(step_ms = step, "the clock was set");
            self.stepped_ms = Some(step);
        }
        self.last = Some(now);
        let specs = ctx.list::<TimeServerSpec>().iter().map(|spec| spec.spec.clone()).collect();
        let status = plan(wanted(specs), clock_state()?, self.stepped_ms);
        let pause = if status.enabled && !status.synced { SOON } else { LATER };
        ctx.put::<TimeStatus>(TimeStatus::ID, status)?;
        Ok(Next::After(pause))
    }
}

/// By how much the time of day moved against the clock that only counts.
fn jump_ms(before: (Instant, SystemTime), now: (Instant, SystemTime)) -> i64 {
    let expected = before.1 + now.0.saturating_duration_since(before.0);
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match now.1.duration_since(expected) {
        Ok(ahead) => ms(ahead),
        Err(behind) => -ms(behind.duration()),
    }
}

fn plan(servers: Option<Vec<String>>, clock: ClockState, stepped_ms: Option<i64>) -> TimeStatus {
    let enabled = servers.is_some();
    let mut servers = servers.unwrap_or_default();
    if enabled && servers.is_empty() {
        servers.push(DEFAULT_POOL.to_owned());
    }
    let message = match (enabled, clock.synchronised) {
        (false, _) => "the config says that the clock is kept by somebody else".to_owned(),
        (true, true) => "the clock follows a time server".to_owned(),
        (true, false) => format!("no time server has answered yet, of {}", servers.join(", ")),
    };
    TimeStatus { enabled, synced: clock.synchronised, servers, stepped_ms, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_from_the_passing_of_time() {
        let before = (Instant::now(), SystemTime::now());
        let after = |elapsed: u64, clock: i64| {
            let moved = Duration::from_millis(clock.unsigned_abs());
            let time = if clock < 0 { before.1 - moved } else { before.1 + moved };
            jump_ms(before, (before.0 + Duration::from_millis(elapsed), time))
        };
        assert_eq!(after(2000, 2000), 0);
        assert_eq!(after(2000, 92_000), 90_000);
        assert_eq!(after(2000, -58_000), -60_000);
    }

    #[test]
    fn the_message_names_whom_we_wait_for() {
        let clock = ClockState { synchronised: false, max_error: Duration::from_secs(16) };
        assert_eq!(
            plan(Some(vec![]), clock, None).message,
            "no time server has answered yet, of pool.ntp.org"
        );
        assert!(!plan(None, clock, None).enabled);
    }
}
