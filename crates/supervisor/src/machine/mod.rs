//! The life of one service, as a state machine without clock, randomness or I/O.
//!
//! [`Machine::step`] takes what happened and says what to do. The runner (`runner`) does it, feeds the outcome back,
//! and calls with [`Input::Deadline`] when [`Machine::deadline`] has come.
//!
//! ```text
//! Waiting ──all there──→ Preparing ──spawned──→ Starting ──probe──→ Ready ⇄ Unhealthy
//!    ↑  ↑                                          └─────────┴──────────┤ ended by itself
//!    │  └──────────── deadline ──── Backoff | Failing ←─────────────────┤ (or Finished)
//!    └── wanted, or restart ──── Stopped ←── Stopping ←── not wanted, restart, or too long unhealthy
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use corten_resources::runtime::{RestartPolicy, ServiceState};
use corten_sys::process::Exit;
use tokio::time::Instant;

/// Failures older than this do not count against the budget.
const BUDGET_WINDOW: Duration = Duration::from_secs(600);
/// After running for this long, the next failure starts with the shortest pause again.
const STABLE: Duration = Duration::from_secs(60);
/// Pause between two attempts to kill.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// What of a spec decides about states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) restart: RestartPolicy,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) failure_budget: u32,
    pub(crate) stop_timeout: Duration,
    /// Failed health checks in a row that make it unhealthy.
    pub(crate) health_failures: u32,
    pub(crate) has_readiness: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    /// These requirements are not met.
    Missing(Vec<String>),
    /// The process runs.
    Started,
    /// The process could not be started.
    StartFailed(String),
    /// The answer of the readiness probe or of the health check.
    Probe(Result<(), String>),
    /// The process ended.
    Exited(Exit),
    /// [`Machine::deadline`] has come.
    Deadline,
    /// Whether the service shall run.
    Want(bool),
    /// Start it anew, and why. Forgives earlier failures.
    Restart(&'static str),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Prepare and start the process, then give `Started` or `StartFailed`.
    Start,
    /// Ask the process to end.
    Stop,
    /// Kill the process.
    Kill,
}

/// State of one service.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    policy: Policy,
    state: ServiceState,
    wanted: bool,
    /// Where `Stopping` leads.
    restart_after_stop: bool,
    deadline: Option<Instant>,
    started: Option<Instant>,
    /// Failures within the window of the budget.
    failures: VecDeque<Instant>,
    /// Failures since it last ran for long; decides the pause.
    in_a_row: u32,
    failed_checks: u32,
    restarts: u64,
    last_exit: Option<Exit>,
    missing: Vec<String>,
    message: String,
}

impl Machine {
    pub(crate) fn new(policy: Policy, wanted: bool) -> Self {
        Self {
            policy,
            state: if wanted { ServiceState::Waiting } else { ServiceState::Stopped },
            wanted,
            restart_after_stop: false,
            deadline: None,
            started: None,
            failures: VecDeque::new(),
            in_a_row: 0,
            failed_checks: 0,
            restarts: 0,
            last_exit: None,
            missing: Vec::new(),
            message: String::new(),
        }
    }

    /// Takes a new policy; the state stays.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(crate) fn state(&self) -> ServiceState {
        self.state
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(crate) fn last_exit(&self) -> Option<Exit> {
        self.last_exit
    }

    pub(crate) fn missing(&self) -> &[String] {
        &self.missing
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Takes what happened at `now`. `jitter` scales a pause, should one begin.
    pub(crate) fn step(&mut self, now: Instant, input: Input, jitter: f64) -> Option<Action> {
        use ServiceState::{
            Backoff, Failing, Finished, Preparing, Ready, Starting, Stopped, Stopping, Unhealthy, Waiting,
        };
        match (self.state, input) {
            (_, Input::Want(wanted)) => self.want(now, wanted),
            (_, Input::Restart(reason)) => self.restart(now, reason),
            (Waiting, Input::Missing(missing)) => self.require(missing),
            (Preparing, Input::Started) => self.started(now),
            (Preparing, Input::StartFailed(error)) => self.failed(now, error, jitter),
            (Starting, Input::Probe(answer)) => self.checked_readiness(answer),
            (Ready | Unhealthy, Input::Probe(answer)) => self.checked_health(now, answer),
            (Starting | Ready | Unhealthy, Input::Exited(exit)) => self.ended(now, exit, jitter),
            (Stopping, Input::Exited(exit)) => self.stopped(exit),
            (Stopping, Input::Deadline) => {
                self.message = "it did not end when asked, and is being killed".into();
                self.deadline = Some(now + KILL_AGAIN);
                Some(Action::Kill)
            }
            (Backoff | Failing, Input::Deadline) => self.enter(Waiting),
            // Late news of something that is over.
            (
                Waiting | Preparing | Starting | Ready | Unhealthy | Backoff | Stopping | Stopped | Finished
                | Failing,
                _,
            ) => None,
        }
    }

    fn want(&mut self, now: Instant, wanted: bool) -> Option<Action> {
        use ServiceState::{
            Backoff, Failing, Finished, Preparing, Ready, Starting, Stopped, Stopping, Unhealthy, Waiting,
        };
        self.wanted = wanted;
        match (self.state, wanted) {
            (Stopped | Finished, true) => self.enter(Waiting),
            (Stopping, _) => {
                self.restart_after_stop = wanted;
                None
            }
            (Starting | Ready | Unhealthy, false) => self.stop(now, false, "it is being stopped"),
            (Waiting | Backoff | Failing | Finished, false) => self.enter(Stopped),
            // A start in progress is stopped when it is done; see `started`.
            (Waiting | Backoff | Failing | Starting | Ready | Unhealthy, true)
            | (Preparing, _)
            | (Stopped, false) => None,
        }
    }

    fn restart(&mut self, now: Instant, reason: &'static str) -> Option<Action> {
        use ServiceState::{
            Backoff, Failing, Finished, Preparing, Ready, Starting, Stopped, Stopping, Unhealthy, Waiting,
        };
        self.failures.clear();
        self.in_a_row = 0;
        match self.state {
            Starting | Ready | Unhealthy => self.stop(now, true, reason),
            Stopping => {
                self.restart_after_stop = self.wanted;
                None
            }
            Backoff | Failing | Finished => self.enter(Waiting),
            Waiting | Preparing | Stopped => None,
        }
    }

    fn require(&mut self, missing: Vec<String>) -> Option<Action> {
        if !missing.is_empty() {
            self.message = format!("waits for {}", missing.join(", "));
            self.missing = missing;
            return None;
        }
        self.enter(ServiceState::Preparing);
        Some(Action::Start)
    }

    fn started(&mut self, now: Instant) -> Option<Action> {
        self.started = Some(now);
        self.failed_checks = 0;
        if !self.wanted {
            return self.stop(now, false, "it is being stopped");
        }
        self.enter(if self.policy.has_readiness { ServiceState::Starting } else { ServiceState::Ready })
    }

    fn checked_readiness(&mut self, answer: Result<(), String>) -> Option<Action> {
        match answer {
            Ok(()) => return self.enter(ServiceState::Ready),
            Err(error) => self.message = format!("not ready yet: {error}"),
        }
        None
    }

    fn checked_health(&mut self, now: Instant, answer: Result<(), String>) -> Option<Action> {
        let Err(error) = answer else {
            self.failed_checks = 0;
            return if self.state == ServiceState::Unhealthy {
                self.enter(ServiceState::Ready)
            } else {
                None
            };
        };
        self.failed_checks += 1;
        let limit = self.policy.health_failures.max(1);
        if self.failed_checks >= limit.saturating_mul(2) {
            self.count_failure(now);
            return self.stop(now, true, "it does not answer its health check, and is being restarted");
        }
        if self.failed_checks >= limit {
            self.enter(ServiceState::Unhealthy);
            self.message = format!("health check failed {} times: {error}", self.failed_checks);
        }
        None
    }

    fn ended(&mut self, now: Instant, exit: Exit, jitter: f64) -> Option<Action> {
        self.last_exit = Some(exit);
        let again = match self.policy.restart {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => !exit.success(),
            RestartPolicy::Never => false,
        };
        if !again {
            self.enter(ServiceState::Finished);
            self.message = format!("ended: {exit}");
            return None;
        }
        if self.started.is_some_and(|started| now.saturating_duration_since(started) >= STABLE) {
            self.in_a_row = 0;
        }
        self.failed(now, format!("ended: {exit}"), jitter)
    }

    fn failed(&mut self, now: Instant, error: String, jitter: f64) -> Option<Action> {
        if !self.wanted {
            return self.enter(ServiceState::Stopped);
        }
        self.count_failure(now);
        let (shortest, longest) = self.policy.backoff;
        let exponential = shortest.saturating_mul(2_u32.saturating_pow(self.in_a_row.saturating_sub(1)));
        let within_budget =
            self.failures.len() <= usize::try_from(self.policy.failure_budget).unwrap_or(usize::MAX);
        let (state, pause) = if within_budget {
            (ServiceState::Backoff, exponential.min(longest).mul_f64(jitter))
        } else {
            (ServiceState::Failing, longest.mul_f64(jitter))
        };
        self.enter(state);
        self.deadline = Some(now + pause);
        self.message = format!("{error}; next start in {:.1} s", pause.as_secs_f64());
        if !within_budget {
            self.message =
                format!("{}; {} failures in the last ten minutes", self.message, self.failures.len());
        }
        None
    }

    fn count_failure(&mut self, now: Instant) {
        self.failures.retain(|failure| now.saturating_duration_since(*failure) < BUDGET_WINDOW);
        self.failures.push_back(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.restarts += 1;
    }

    fn stop(&mut self, now: Instant, again: bool, message: &str) -> Option<Action> {
        self.enter(ServiceState::Stopping);
        self.restart_after_stop = again;
        self.deadline = Some(now + self.policy.stop_timeout);
        self.message = message.into();
        Some(Action::Stop)
    }

    fn stopped(&mut self, exit: Exit) -> Option<Action> {
        self.last_exit = Some(exit);
        self.enter(if self.restart_after_stop && self.wanted {
            ServiceState::Waiting
        } else {
            ServiceState::Stopped
        })
    }

    fn enter(&mut self, state: ServiceState) -> Option<Action> {
        self.state = state;
        self.deadline = None;
        self.missing.clear();
        self.message.clear();
        None
    }
}

#[cfg(test)]
mod tests;
