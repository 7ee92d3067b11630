//! The task of one service: feeds its state machine, does what that says, and publishes the state.

mod prober;
mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corten_resources::runtime::{ServiceSpec, ServiceState, ServiceStatus};
use corten_store::{Store, Timestamp};
use corten_sys::process::{Exit, Reaper};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::machine::{Action, Input, Machine};
use crate::requirements::Requirements;
use crate::{EventBus, LogStore, OWNER, Options, spec};
use prober::Prober;
use process::Process;

/// What all services share.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) store: Store,
    pub(crate) reaper: Reaper,
    pub(crate) logs: LogStore,
    pub(crate) events: EventBus,
    pub(crate) options: Options,
}

/// What somebody wants of a service.
#[derive(Debug)]
pub(crate) enum Control {
    /// The spec is there, or changed.
    Spec(Box<ServiceSpec>),
    /// The spec is gone.
    Remove,
    /// An operator wants it up.
    Start,
    /// An operator wants it down, until `Start`.
    Stop,
    /// An operator wants it anew.
    Restart,
    /// The machine goes down: it stays down, and has this long to end.
    Shutdown(Duration),
    /// It has had its time.
    Kill,
}

/// The task of one service.
pub(crate) struct Runner {
    id: String,
    spec: ServiceSpec,
    environment: Arc<Environment>,
    control: mpsc::UnboundedReceiver<Control>,
    machine: Machine,
    requirements: Requirements,
    process: Process,
    prober: Prober,
    /// An operator stopped it.
    held: bool,
    removed: bool,
    going_down: bool,
    since: Timestamp,
}

/// What the task waits for.
enum Happening {
    Control(Option<Control>),
    Exited(Exit),
    Answer(Result<(), String>),
    Deadline,
    LookAgain,
}

impl Runner {
    pub(crate) fn new(
        id: String,
        spec: ServiceSpec,
        environment: Arc<Environment>,
        control: mpsc::UnboundedReceiver<Control>,
    ) -> Self {
        Self {
            machine: Machine::new(spec::policy(&spec), spec.enabled),
            requirements: Requirements::new(&environment.store, &spec),
            process: Process::new(&id, &environment.options),
            prober: Prober::default(),
            id,
            spec,
            environment,
            control,
            held: false,
            removed: false,
            going_down: false,
            since: Timestamp::now(),
        }
    }

    /// Runs until the spec is gone and the process has ended.
    pub(crate) async fn run(mut self) -> String {
        self.publish();
        loop {
            if self.machine.state() == ServiceState::Waiting {
                let missing = self.requirements.missing(&self.environment.store).await;
                self.feed(Input::Missing(missing)).await;
            }
            if self.removed && self.machine.state() == ServiceState::Stopped {
                break;
            }
            match self.next().await {
                Happening::Control(Some(control)) => self.controlled(control).await,
                Happening::Control(None) => self.controlled(Control::Remove).await,
                Happening::Exited(exit) => {
                    if self.process.ended(&self.spec) {
                        self.out_of_memory();
                    }
                    self.feed(Input::Exited(exit)).await;
                }
                Happening::Answer(answer) => self.feed(Input::Probe(answer)).await,
                Happening::Deadline => self.feed(Input::Deadline).await,
                Happening::LookAgain => {}
            }
        }
        self.process.remove();
        let _ = self.environment.store.teardown::<ServiceStatus>(OWNER, &self.id);
        self.id
    }

    async fn next(&mut self) -> Happening {
        let deadline = self.machine.deadline();
        let waiting = self.machine.state() == ServiceState::Waiting;
        tokio::select! {
            biased;
            exit = self.process.wait() => Happening::Exited(exit),
            control = self.control.recv() => Happening::Control(control),
            () = at(deadline) => Happening::Deadline,
            answer = self.prober.answer() => Happening::Answer(answer),
            () = self.requirements.changed(), if waiting => Happening::LookAgain,
        }
    }

    async fn controlled(&mut self, control: Control) {
        match control {
            Control::Spec(spec) => return self.respecified(*spec).await,
            Control::Remove => self.removed = true,
            Control::Start => self.held = false,
            Control::Stop => self.held = true,
            Control::Restart => {
                self.held = false;
                self.feed(Input::Restart("it is being restarted")).await;
            }
            Control::Shutdown(limit) => {
                self.going_down = true;
                self.spec.stop_timeout_ms =
                    self.spec.stop_timeout_ms.min(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
                self.machine.set_policy(spec::policy(&self.spec));
            }
            Control::Kill => {
                self.going_down = true;
                self.feed(Input::Want(false)).await;
                return self.feed(Input::Deadline).await;
            }
        }
        self.feed(Input::Want(self.wanted())).await;
    }

    fn wanted(&self) -> bool {
        self.spec.enabled && !self.held && !self.removed && !self.going_down
    }

    async fn respecified(&mut self, new: ServiceSpec) {
        let restart = spec::needs_restart(&self.spec, &new);
        self.removed = false;
        if self.spec.cgroup != new.cgroup {
            self.process.set_limits(&new);
        }
        self.requirements = Requirements::new(&self.environment.store, &new);
        self.spec = new;
        self.machine.set_policy(spec::policy(&self.spec));
        self.prober.reset();
        self.feed(Input::Want(self.wanted())).await;
        if restart {
            self.feed(Input::Restart("it is being restarted, because its specification changed")).await;
        }
        self.ask_questions();
    }

    /// Gives the machine an input, does what it says, and publishes what came of it.
    async fn feed(&mut self, input: Input) {
        let mut input = Some(input);
        while let Some(now) = input.take() {
            let before = self.machine.state();
            let action = self.machine.step(Instant::now(), now, rand::random_range(0.75..1.25));
            self.changed_from(before);
            match action {
                Some(Action::Start) => input = Some(self.start().await),
                Some(Action::Stop) => self.process.stop(&self.spec),
                Some(Action::Kill) => self.process.kill(&self.spec),
                None => {}
            }
        }
        self.publish();
    }

    async fn start(&mut self) -> Input {
        self.publish();
        match self.process.start(&self.id, &self.spec, &self.environment).await {
            Ok(()) => Input::Started,
            Err(error) => Input::StartFailed(chain(&error)),
        }
    }

    fn changed_from(&mut self, before: ServiceState) {
        let state = self.machine.state();
        if state == before {
            return;
        }
        self.since = Timestamp::now();
        self.ask_questions();
        let message = self.machine.message();
        let text = match message {
            "" => format!("{} is {state}", self.id),
            _ => format!("{} is {state}: {message}", self.id),
        };
        match state {
            ServiceState::Backoff | ServiceState::Failing | ServiceState::Unhealthy => {
                tracing::warn!(
                    service = self.id,
                    state = state.as_str(),
                    message,
                    "service changed its state"
                );
            }
            ServiceState::Ready | ServiceState::Stopped | ServiceState::Finished => {
                tracing::info!(
                    service = self.id,
                    state = state.as_str(),
                    message,
                    "service changed its state"
                );
            }
            _ => tracing::debug!(
                service = self.id,
                state = state.as_str(),
                message,
                "service changed its state"
            ),
        }
        let mut fields = BTreeMap::from([("state".to_owned(), state.to_string())]);
        fields.extend(self.process.pid().map(|pid| ("pid".to_owned(), pid.to_string())));
        self.environment.events.publish(&format!("service.{state}"), &self.id, text, fields);
    }

    fn out_of_memory(&self) {
        let limit = self
            .spec
            .cgroup
            .memory_max
            .map(|bytes| format!(" (limit {} MiB)", bytes >> 20))
            .unwrap_or_default();
        let text = format!("{} was killed by the kernel for want of memory{limit}", self.id);
        tracing::warn!(
            service = self.id,
            memory_max = self.spec.cgroup.memory_max,
            "service ran out of memory"
        );
        self.environment.events.publish("service.out-of-memory", &self.id, text, BTreeMap::new());
    }

    fn ask_questions(&mut self) {
        match self.machine.state() {
            ServiceState::Starting => self.prober.ask_readiness(self.spec.readiness.as_ref()),
            ServiceState::Ready | ServiceState::Unhealthy => {
                self.prober.ask_health(self.spec.health.as_ref());
            }
            _ => self.prober.reset(),
        }
    }

    fn publish(&self) {
        let state = self.machine.state();
        let status = ServiceStatus {
            state,
            ready: state == ServiceState::Ready,
            pid: self.process.pid(),
            since: self.since,
            restarts: self.machine.restarts(),
            last_exit: self.machine.last_exit().map(|exit| exit.to_string()),
            waiting_for: self.machine.missing().to_vec(),
            message: self.machine.message().to_owned(),
        };
        if let Err(error) = self.environment.store.put::<ServiceStatus>(OWNER, &self.id, status) {
            tracing::error!(service = self.id, %error, "publish the status of a service");
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The message of an error with those of all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
