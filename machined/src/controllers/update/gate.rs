//! Decides whether a version on trial stays: watches the machine until everything is in order, or until the deadline.
//!
//! Reads `SlotStatus`, `MachineStatus`, `NodeAddresses` and `MachineConfig`; owns `UpdateStatus`. The node is safe when
//! this never runs: the boot loader has counted the try already, and only a pass ends the counting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use corten_constants::ports;
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::config::MachineConfig;
use corten_resources::network::{HostnameStatus, NodeAddresses};
use corten_resources::runtime::{MACHINE, MachineStatus, ServiceStatus};
use corten_resources::update::{GatePhase, SlotStatus, UpdateStatus};
use corten_store::Kind as _;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::controllers::config;
use crate::controllers::secrets::api::os_ca;
use crate::errors::chain;
use crate::node::{Node, PowerAction, PowerRequest};
use crate::update::gate::{self, Before, Patience, Verdict};
use crate::update::{drain, probe};
use crate::versions;

/// For Kubernetes to lift a cordon, and until the next attempt.
const UNCORDON: Duration = Duration::from_secs(10);
/// For one look at the machine, the disk and the API of each address included. A disk that hangs takes longer.
const TURN: Duration = Duration::from_secs(60);
/// Before there is a config that says otherwise.
const DEFAULT: Patience = Patience { deadline_ms: 600_000, soak_ms: 10_000 };

/// The controller.
#[derive(Debug)]
pub struct Gate {
    node: Node,
    healthy_since_ms: Option<u64>,
    /// What META said about this boot, asked once.
    by_meta: Option<bool>,
    /// What META said about the machine before the update, asked once.
    before: Option<Before>,
    over: bool,
    uncordoned: bool,
}

impl Gate {
    /// Guards the trial of `node`.
    pub fn new(node: &Node) -> Self {
        Self {
            node: node.clone(),
            healthy_since_ms: None,
            by_meta: None,
            before: None,
            over: false,
            uncordoned: false,
        }
    }

    /// A META that cannot be read makes the gate stricter, never easier; it is asked again then.
    async fn before(&mut self) -> Before {
        if self.before.is_none() {
            self.before = self.node.updates.pending().await.ok().map(|pending| match pending {
                Some(pending) => pending.into(),
                None => Before::default(),
            });
        }
        self.before.clone().unwrap_or_default()
    }

    async fn trial(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let machine =
            ctx.get::<MachineStatus>(MACHINE).map(|machine| machine.spec.clone()).unwrap_or_default();
        let before = self.before().await;
        let api = api(ctx).await;
        let mut missing = before.ready.clone();
        missing.retain(|service| !ctx.get::<ServiceStatus>(service).is_some_and(|status| status.spec.ready));
        let checks = gate::checks(&machine, api, &before, &missing);
        let (now, patience) = (versions::uptime_ms(), patience(ctx));
        let failures = gate::failures(&checks);
        self.healthy_since_ms = if failures.is_empty() { self.healthy_since_ms.or(Some(now)) } else { None };
        let (verdict, failures) = match config::problem(ctx.store()) {
            // Waiting does not mend that, and how long to wait is in the config.
            Some(problem) => (Verdict::Fail, format!("config: this version cannot read it: {problem}")),
            None => (gate::decide(self.healthy_since_ms, now, patience), failures),
        };
        let rest = i64::try_from(patience.deadline_ms.saturating_sub(now)).unwrap_or(i64::MAX);
        let ended = matches!(verdict, Verdict::Fail).then(|| format!("health gate: {failures}"));
        self.record(&machine, ended).await;
        let mut status = UpdateStatus {
            phase: GatePhase::Waiting,
            checks,
            deadline_unix_ms: jiff::Timestamp::now().as_millisecond().saturating_add(rest),
            message: failures.clone(),
        };
        match verdict {
            Verdict::Wait(millis) => {
                ctx.put::<UpdateStatus>(MACHINE, status)?;
                Ok(Next::After(Duration::from_millis(millis)))
            }
            Verdict::Pass => {
                if let Err(error) = self.node.updates.bless().await {
                    // It counts as failed when that does not change before the deadline.
                    self.healthy_since_ms = None;
                    return if now < patience.deadline_ms {
                        Err(error.into())
                    } else {
                        self.fail(ctx, status, chain(&error)).await
                    };
                }
                self.over = true;
                self.tell("update.passed", "this version is healthy and stays");
                (status.phase, status.deadline_unix_ms) = (GatePhase::Passed, 0);
                ctx.put::<UpdateStatus>(MACHINE, status)?;
                Ok(Next::Wait)
            }
            Verdict::Fail => self.fail(ctx, status, failures).await,
        }
    }

    /// This try is over: the machine restarts, whatever can be written down about it.
    async fn fail(&mut self, ctx: &Context, mut status: UpdateStatus, why: String) -> Result<Next, BoxError> {
        self.over = true;
        let reason = format!("the machine was not healthy in time: {why}");
        self.tell("update.failed", &reason);
        let kept = self.node.updates.fail(reason).await;
        self.node.power.ask(PowerRequest { action: PowerAction::Reboot, ..PowerRequest::default() });
        (status.phase, status.deadline_unix_ms) = (GatePhase::Failed, 0);
        ctx.put::<UpdateStatus>(MACHINE, status)?;
        kept?;
        Ok(Next::Wait)
    }

    /// Something of a look hangs, and it is most likely the disk: nothing is written down any more, but the boot loader
    /// has counted this try.
    fn stuck(&mut self, ctx: &Context) -> Next {
        if let Verdict::Wait(millis) = gate::decide(None, versions::uptime_ms(), patience(ctx)) {
            tracing::warn!("the disk or the API does not answer the health gate");
            return Next::After(Duration::from_millis(millis));
        }
        self.over = true;
        self.tell(
            "update.failed",
            "the machine was not healthy in time: the disk or the API does not answer",
        );
        self.node.power.ask(PowerRequest { action: PowerAction::Reboot, ..PowerRequest::default() });
        Next::Wait
    }

    /// Keeps what the next boot wants to know if this one goes wrong. A disk that refuses is no reason to stop.
    async fn record(&self, machine: &MachineStatus, ended: Option<String>) {
        let unmet = machine.unmet.iter().map(|unmet| format!("{}: {}", unmet.name, unmet.reason)).collect();
        if let Err(error) = self.node.recorder.store(machine.stage.as_str(), unmet, ended).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot keep the record of this boot");
        }
    }

    fn tell(&self, kind: &'static str, message: &str) {
        tracing::warn!("{message}");
        crate::boot::fatal::say(&format!("corten: {message}"));
        self.node.events.publish(kind, MACHINE, message.to_owned(), std::collections::BTreeMap::default());
    }

    /// Lifts the cordon of the update that brought this boot once the node is Ready; tells whether that is still to be done.
    async fn uncordon(&mut self, ctx: &Context) -> bool {
        let ready = ctx.get::<MachineStatus>(MACHINE).is_some_and(|machine| machine.spec.ready);
        let hostname = ctx.store().get::<HostnameStatus>(HostnameStatus::ID);
        let Some(hostname) = hostname.filter(|_| ready && !self.uncordoned) else { return false };
        match timeout(UNCORDON, drain::uncordon(&hostname.spec.hostname)).await {
            Ok(Ok(_)) => self.uncordoned = true,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot lift the cordon");
            }
            Err(_) => tracing::warn!("the API server does not answer: the cordon stays for now"),
        }
        !self.uncordoned
    }

    /// Whether this boot is a trial: the boot loader's entry says so, or META while the entries are not known yet.
    async fn on_trial(&mut self, ctx: &Context) -> bool {
        if let Some(slot) = ctx.list::<SlotStatus>().iter().find(|slot| slot.spec.running) {
            return !slot.spec.blessed && !slot.spec.entry.is_empty();
        }
        if self.by_meta.is_none() && self.node.updates.has_disk() {
            let pending =
                timeout(TURN, self.node.updates.pending()).await.ok().and_then(Result::ok).flatten();
            self.by_meta =
                Some(pending.is_some_and(|pending| pending.root_hash == self.node.updates.running()));
        }
        self.by_meta.unwrap_or(false)
    }
}

impl Controller for Gate {
    fn name(&self) -> &'static str {
        "update/gate"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[
            SlotStatus::NAME,
            MachineStatus::NAME,
            NodeAddresses::NAME,
            MachineConfig::NAME,
            ServiceStatus::NAME,
        ]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[UpdateStatus::NAME]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        None
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        if !self.over && self.on_trial(ctx).await {
            return match timeout(TURN, self.trial(ctx)).await {
                Ok(next) => next,
                Err(_) => Ok(self.stuck(ctx)),
            };
        }
        match self.uncordon(ctx).await {
            true => Ok(Next::After(UNCORDON)),
            false => Ok(Next::Wait),
        }
    }
}

/// Whether others reach this node's API.
async fn api(ctx: &Context) -> Result<(), String> {
    let identity = match config::active(ctx.store()) {
        Some(config) => {
            Some(os_ca(&config).and_then(|ca| probe::identity(&ca)).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    probe::api(&addresses(ctx), identity.as_ref()).await
}

/// Where others reach this node's API.
fn addresses(ctx: &Context) -> Vec<SocketAddr> {
    let all = ctx.get::<NodeAddresses>(NodeAddresses::ID);
    all.iter()
        .flat_map(|all| all.spec.ips().map(|ip| SocketAddr::new(ip, ports::API)).collect::<Vec<_>>())
        .collect()
}

fn patience(ctx: &Context) -> Patience {
    let Some(config) = config::active(ctx.store()) else { return DEFAULT };
    let policy = config.update_policy();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Patience { deadline_ms: millis(policy.health_deadline), soak_ms: millis(policy.soak) }
}
