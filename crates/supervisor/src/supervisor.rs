//! Gives every `ServiceSpec` a task, and operators a handle.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::Utf8PathBuf;
use corten_resources::runtime::{ServiceSpec, ServiceState, ServiceStatus};
use corten_store::{Kind, Resource, Store};
use corten_sys::cgroup::Cgroup;
use corten_sys::process::Reaper;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::order::{self, Node};
use crate::runner::{Control, Environment, Runner};
use crate::{EventBus, LogStore};

/// Of the time for stopping everything, what is kept for killing.
const KILL_TIME: Duration = Duration::from_secs(1);

/// Where things are.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Directory below which each service gets a cgroup. Without it, services have none, and process groups are killed.
    pub cgroups: Option<Utf8PathBuf>,
}

impl Options {
    /// The node's: cgroups below `/sys/fs/cgroup/system`.
    pub fn node() -> Self {
        Self { cgroups: Some(Cgroup::at("system").path().to_owned()) }
    }

    /// The cgroup of a service.
    pub fn cgroup(&self, id: &str) -> Option<Cgroup> {
        Some(Cgroup::from_path(self.cgroups.as_ref()?.join(id)))
    }
}

/// Why an operator's wish was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupervisorError {
    /// No such service.
    #[error("there is no service {0:?}")]
    NotFound(String),
    /// The machine is going down.
    #[error("the machine is going down, and starts nothing any more")]
    GoingDown,
}

/// The supervisor; see [`Supervisor::start`].
#[derive(Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
    tasks: JoinSet<String>,
    names: HashMap<Id, String>,
}

#[derive(Debug)]
struct Shared {
    environment: Arc<Environment>,
    services: Mutex<Services>,
}

#[derive(Debug, Default)]
struct Services {
    running: BTreeMap<String, Service>,
    going_down: bool,
}

#[derive(Debug)]
struct Service {
    control: UnboundedSender<Control>,
    spec: Arc<Resource<ServiceSpec>>,
}

impl Supervisor {
    /// Starts to supervise the `ServiceSpec`s in `store`. Must be called within a tokio runtime. Services get cgroups when
    /// this is PID 1.
    pub fn start(store: Store, reaper: Reaper, logs: LogStore, events: EventBus) -> SupervisorHandle {
        let options = if std::process::id() == 1 { Options::node() } else { Options::default() };
        Self::start_with(store, reaper, logs, events, options)
    }

    /// [`Self::start`] with other places.
    pub fn start_with(
        store: Store,
        reaper: Reaper,
        logs: LogStore,
        events: EventBus,
        options: Options,
    ) -> SupervisorHandle {
        let environment = Arc::new(Environment { store, reaper, logs, events, options });
        let shared = Arc::new(Shared { environment, services: Mutex::default() });
        let supervisor = Self { shared: Arc::clone(&shared), tasks: JoinSet::new(), names: HashMap::new() };
        tokio::spawn(supervisor.run());
        SupervisorHandle { shared }
    }

    async fn run(mut self) {
        let signal = self.shared.environment.store.changed(&[ServiceSpec::NAME]);
        loop {
            self.reconcile();
            tokio::select! {
                _ = signal.wait() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.task_ended(ended),
            }
        }
    }

    /// Makes the tasks equal to the specs.
    fn reconcile(&mut self) {
        let specs = self.shared.environment.store.list::<ServiceSpec>();
        let shared = Arc::clone(&self.shared);
        let mut services = shared.services();
        let going_down = services.going_down;
        for (id, service) in &services.running {
            if !specs.iter().any(|spec| spec.id() == id) {
                let _ = service.control.send(Control::Remove);
            }
        }
        for spec in specs {
            match services.running.get_mut(spec.id()) {
                Some(service) if service.spec.metadata.version == spec.metadata.version => {}
                Some(service) => {
                    let _ = service.control.send(Control::Spec(Box::new(spec.spec.clone())));
                    service.spec = spec;
                }
                None if going_down => {}
                None => {
                    let control = self.spawn(&spec);
                    services.running.insert(spec.id().to_owned(), Service { control, spec });
                }
            }
        }
    }

    fn spawn(&mut self, spec: &Resource<ServiceSpec>) -> UnboundedSender<Control> {
        let (sender, control) = mpsc::unbounded_channel();
        let id = spec.id().to_owned();
        let runner =
            Runner::new(id.clone(), spec.spec.clone(), Arc::clone(&self.shared.environment), control);
        let task = self.tasks.spawn(runner.run());
        self.names.insert(task.id(), id);
        sender
    }

    fn task_ended(&mut self, ended: Result<(Id, String), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(name) = self.names.remove(&id) else { return };
        if let Err(error) = ended {
            tracing::error!(service = name, %error, "the task of a service ended, and is started again");
        }
        // `reconcile` makes a new one when the spec is there.
        self.shared.services().running.remove(&name);
    }
}

impl Shared {
    fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, id: &str, control: Control) -> Result<(), SupervisorError> {
        let services = self.services();
        if services.going_down {
            return Err(SupervisorError::GoingDown);
        }
        let service = services.running.get(id).ok_or_else(|| SupervisorError::NotFound(id.into()))?;
        service.control.send(control).map_err(|_| SupervisorError::NotFound(id.into()))
    }
}

/// What operators want of services. A clone is another handle on the same supervisor.
#[derive(Debug, Clone)]
pub struct SupervisorHandle {
    shared: Arc<Shared>,
}

impl SupervisorHandle {
    /// Wants a service up; takes back [`Self::stop`].
    pub fn start(&self, id: &str) -> Result<(), SupervisorError> {
        self.shared.control(id, Control::Start)
    }

    /// Wants a service down, until [`Self::start`] or [`Self::restart`].
    pub fn stop(&self, id: &str) -> Result<(), SupervisorError> {
        self.shared.control(id, Control::Stop)
    }

    /// [`Self::stop`], and waits until it is down, for at most `limit`.
    pub async fn stop_and_wait(&self, id: &str, limit: Duration) {
        let signal = self.shared.environment.store.changed(&[ServiceStatus::NAME]);
        if self.stop(id).is_err() {
            return;
        }
        let down = async {
            while !self.is_down(id) {
                signal.wait().await;
            }
        };
        let _ = timeout_at(Instant::now() + limit, down).await;
    }

    /// Wants a service anew.
    pub fn restart(&self, id: &str) -> Result<(), SupervisorError> {
        self.shared.control(id, Control::Restart)
    }

    /// Bytes of memory that a service uses, as far as the kernel counts them.
    pub fn memory(&self, id: &str) -> Option<u64> {
        self.shared.environment.options.cgroup(id)?.memory_current().ok()
    }

    /// Stops every service, each after those that require it, and starts none any more. Whoever still runs shortly before
    /// `limit` is over is killed. Returns after `limit` at the latest, with the names of those that survived even that.
    pub async fn stop_all(&self, limit: Duration) -> Vec<String> {
        let deadline = Instant::now() + limit;
        let kill_at = deadline - KILL_TIME.min(limit / 2);
        let signal = self.shared.environment.store.changed(&[ServiceStatus::NAME]);
        self.shared.services().going_down = true;
        let mut asked = BTreeSet::new();
        let mut killed = false;
        loop {
            let now = Instant::now();
            let alive =
                if now < kill_at { self.ask_to_stop(&mut asked, kill_at - now) } else { self.alive() };
            if alive.is_empty() || now >= deadline {
                return alive;
            }
            if now >= kill_at && !killed {
                killed = true;
                self.kill(&alive);
            }
            let _ = timeout_at(if killed { deadline } else { kill_at }, signal.wait()).await;
        }
    }

    /// Asks those whose turn it is, and gives those that are not down yet.
    fn ask_to_stop(&self, asked: &mut BTreeSet<String>, limit: Duration) -> Vec<String> {
        let services = self.shared.services();
        let nodes = services.running.iter().map(|(id, service)| {
            let requires = order::required_services(&service.spec.spec);
            (id.clone(), Node { requires, alive: !self.is_down(id), asked: asked.contains(id) })
        });
        let nodes: BTreeMap<_, _> = nodes.collect();
        for id in order::stoppable(&nodes) {
            if let Some(service) = services.running.get(&id) {
                let _ = service.control.send(Control::Shutdown(limit));
            }
            asked.insert(id);
        }
        nodes.into_iter().filter(|(_, node)| node.alive).map(|(id, _)| id).collect()
    }

    fn alive(&self) -> Vec<String> {
        self.shared.services().running.keys().filter(|id| !self.is_down(id)).cloned().collect()
    }

    fn kill(&self, ids: &[String]) {
        let services = self.shared.services();
        for service in ids.iter().filter_map(|id| services.running.get(id)) {
            let _ = service.control.send(Control::Kill);
        }
    }

    fn is_down(&self, id: &str) -> bool {
        let status = self.shared.environment.store.get::<ServiceStatus>(id);
        status
            .is_none_or(|status| matches!(status.spec.state, ServiceState::Stopped | ServiceState::Finished))
    }
}
