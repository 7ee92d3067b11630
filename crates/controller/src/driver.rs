//! Drives one controller: waits for a reason, reconciles, publishes how it went.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use corten_resources::runtime::ControllerStatus;
use corten_store::{ChangeSignal, Store, Timestamp};
use futures::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::{Backoff, BoxError, Context, Controller, Next};

/// Owner of the `ControllerStatus` resources.
const OWNER: &str = "controller-runtime";
/// Pauses after failures.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// A changed input ends a backoff, but not before this much of it has passed.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
/// A reconcile that takes longer is told in the log.
const SLOW: Duration = Duration::from_secs(30);

/// One controller with what it needs to run.
pub(crate) struct Driver<C> {
    controller: C,
    context: Context,
    signal: ChangeSignal,
    wake: Option<Arc<Notify>>,
    backoff: Backoff,
    status: ControllerStatus,
    /// When to run without another reason, and what to call that.
    due: Option<(Instant, &'static str)>,
    /// No run before this, whatever happens.
    not_before: Option<Instant>,
}

impl<C: Controller> Driver<C> {
    pub(crate) fn new(store: Store, controller: C) -> Self {
        let signal = store.changed(controller.inputs());
        let context = Context::new(store, controller.name(), controller.inputs(), controller.outputs());
        Self {
            wake: controller.wake(),
            controller,
            context,
            signal,
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
            status: ControllerStatus::default(),
            due: None,
            not_before: None,
        }
    }

    /// Runs until `shutdown` is true or its sender is gone. A reconcile in progress is dropped at that moment.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = self.run_forever() => {}
        }
    }

    async fn run_forever(&mut self) {
        let mut reason = "start".to_owned();
        loop {
            self.run_once(reason).await;
            reason = self.wait().await;
        }
    }

    async fn run_once(&mut self, reason: String) {
        let _ = self.signal.take(); // what changed until now is seen by this run
        let started = Instant::now();
        let outcome = self.reconcile().await;
        self.status.runs += 1;
        self.status.woken_by = reason;
        self.status.last_run = Some(Timestamp::now());
        self.status.last_duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(next) => self.succeeded(next),
            Err(failure) => self.failed(failure),
        }
        let store = self.context.store();
        if let Err(error) = store.put::<ControllerStatus>(OWNER, self.context.name(), self.status.clone()) {
            tracing::error!(controller = self.context.name(), %error, "publish the status of a controller");
        }
    }

    async fn reconcile(&mut self) -> Result<Next, Failure> {
        let name = self.context.name();
        let run = AssertUnwindSafe(self.controller.reconcile(&self.context)).catch_unwind();
        let mut run = std::pin::pin!(run);
        let outcome = loop {
            match tokio::time::timeout(SLOW, &mut run).await {
                Ok(outcome) => break outcome,
                Err(_) => tracing::warn!(controller = name, "a reconcile takes unusually long"),
            }
        };
        match outcome {
            Ok(result) => result.map_err(Failure::Error),
            Err(panic) => Err(Failure::Panic(panic_message(panic.as_ref()))),
        }
    }

    fn succeeded(&mut self, next: Next) {
        if self.backoff.failures() > 0 {
            tracing::info!(controller = self.context.name(), "the controller works again");
        }
        self.backoff.reset();
        self.status.last_error.clear();
        self.status.backoff_ms = 0;
        self.not_before = None;
        self.due = match next {
            Next::Wait => None,
            Next::After(pause) => Some((Instant::now() + pause, "requeue")),
        };
    }

    fn failed(&mut self, failure: Failure) {
        let error = failure.chain();
        let pause = self.backoff.next_pause();
        self.status.failures += 1;
        self.status.panics += u64::from(matches!(failure, Failure::Panic(_)));
        self.status.backoff_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.not_before = Some(Instant::now() + LEAST_PAUSE.min(pause));
        self.due = Some((Instant::now() + pause, "retry"));
        if self.status.last_error == error {
            tracing::debug!(controller = self.context.name(), error, "reconcile failed again");
        } else {
            tracing::warn!(controller = self.context.name(), error, "reconcile failed");
        }
        self.status.last_error = error;
    }

    /// Waits for a reason to run, and names it.
    async fn wait(&mut self) -> String {
        let reason = tokio::select! {
            kinds = self.signal.wait() => kinds.join(","),
            () = notified(self.wake.as_deref()) => "wake".to_owned(),
            reason = due(self.due) => reason.to_owned(),
        };
        if let Some(not_before) = self.not_before {
            sleep_until(not_before).await;
        }
        reason
    }
}

/// How a reconcile failed.
enum Failure {
    Error(BoxError),
    Panic(String),
}

impl Failure {
    /// The message with those of all causes.
    fn chain(&self) -> String {
        match self {
            Self::Panic(message) => format!("panic: {message}"),
            Self::Error(error) => {
                let mut text = error.to_string();
                let mut source = error.source();
                while let Some(cause) = source {
                    text = format!("{text}: {cause}");
                    source = cause.source();
                }
                text
            }
        }
    }
}

async fn notified(wake: Option<&Notify>) {
    match wake {
        Some(wake) => wake.notified().await,
        None => std::future::pending().await,
    }
}

async fn due(due: Option<(Instant, &'static str)>) -> &'static str {
    match due {
        Some((at, reason)) => {
            sleep_until(at).await;
            reason
        }
        None => std::future::pending().await,
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}
