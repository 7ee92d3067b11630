//! Runs a DHCPv4 client on each link that an `OperatorSpec` names, and turns its lease into specs of the DHCP layer.
//!
//! Each client is a task of its own; this controller starts and stops them, tells them about the carrier of their link,
//! and publishes what they have. The address itself is set by `address_spec`.

mod client;
#[cfg(test)]
mod fixtures;
mod lease;
mod machine;
#[cfg(test)]
mod machine_tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::network::{
    AddressSpec, HostnameSpec, Layer, LeaseState, LinkSpec, LinkStatus, OperatorKind, OperatorSpec,
    OperatorStatus, ResolverSpec, RouteSpec, TimeServerSpec,
};
use corten_store::{Kind, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use client::{Shared, Task, View};
use lease::{Lease, Specs};

use super::kernel::links;

/// The controller.
#[derive(Debug, Default)]
pub(super) struct Dhcp4Controller {
    wake: Arc<Notify>,
    clients: BTreeMap<String, Client>,
}

/// A running client.
#[derive(Debug)]
struct Client {
    key: (u32, [u8; 6]),
    carrier: watch::Sender<bool>,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Controller for Dhcp4Controller {
    fn name(&self) -> &'static str {
        "network/dhcp4"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[OperatorSpec::NAME, LinkStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[
            OperatorStatus::NAME,
            LinkSpec::NAME,
            AddressSpec::NAME,
            RouteSpec::NAME,
            ResolverSpec::NAME,
            HostnameSpec::NAME,
            TimeServerSpec::NAME,
        ]
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        Some(self.wake.clone())
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let operators = ctx.list::<OperatorSpec>();
        let operators: BTreeMap<&str, &OperatorSpec> = operators
            .iter()
            .filter(|operator| operator.spec.kind == OperatorKind::Dhcp4)
            .map(|operator| (operator.metadata.id.as_str(), &operator.spec))
            .collect();
        let links = links(ctx);
        self.clients.retain(|id, _| operators.contains_key(id.as_str()));
        for (id, operator) in &operators {
            self.keep_running(ctx, id, operator, links.get(&operator.link));
        }
        self.publish(ctx, &operators)?;
        Ok(Next::Wait)
    }
}

impl Dhcp4Controller {
    /// Starts the client of an operator, again when its link was replaced, and tells it about the carrier.
    fn keep_running(&mut self, ctx: &Context, id: &str, operator: &OperatorSpec, link: Option<&LinkStatus>) {
        let Some((link, mac)) = link.and_then(|link| Some((link, parse_mac(link.mac.as_deref()?)?))) else {
            self.clients.remove(id);
            return;
        };
        let ready = link.up && link.carrier;
        let key = (link.index, mac);
        if let Some(client) =
            self.clients.get(id).filter(|client| client.key == key && !client.task.is_finished())
        {
            client.carrier.send_if_modified(|carrier| std::mem::replace(carrier, ready) != ready);
            return;
        }
        tracing::info!(link = %operator.link, "starting DHCP");
        let hostname = ctx.get::<HostnameSpec>(Layer::Config.as_str()).map(|spec| spec.spec.hostname.clone());
        let task = Task { index: link.index, mac, hostname };
        let (carrier, receiver) = watch::channel(ready);
        let shared = Shared::new(self.wake.clone());
        let task = tokio::spawn(client::run(task, receiver, shared.clone()));
        self.clients.insert(id.to_owned(), Client { key, carrier, shared, task });
    }

    fn publish(&self, ctx: &Context, operators: &BTreeMap<&str, &OperatorSpec>) -> Result<(), BoxError> {
        let mut all = Specs::default();
        let mut statuses = BTreeMap::new();
        for (id, operator) in operators {
            let client = self.clients.get(*id);
            let view = client.map_or_else(View::default, |client| client.shared.view());
            let previous = ctx.get::<OperatorStatus>(id);
            let status =
                status(operator, &view, client.is_some(), previous.as_ref().map(|status| &status.spec));
            statuses.insert((*id).to_owned(), status);
            if let Some(lease) = &view.lease {
                all.extend(lease.specs(operator));
            }
        }
        ctx.sync_owned::<LinkSpec>(all.links.into_iter().collect())?;
        ctx.sync_owned::<AddressSpec>(all.addresses.into_iter().collect())?;
        ctx.sync_owned::<RouteSpec>(all.routes.into_iter().collect())?;
        ctx.sync_owned::<ResolverSpec>(all.resolvers.into_iter().collect())?;
        ctx.sync_owned::<HostnameSpec>(all.hostnames.into_iter().collect())?;
        ctx.sync_owned::<TimeServerSpec>(all.time_servers.into_iter().collect())?;
        ctx.sync_owned::<OperatorStatus>(statuses)?;
        Ok(())
    }
}

impl Specs {
    fn extend(&mut self, other: Specs) {
        self.links.extend(other.links);
        self.addresses.extend(other.addresses);
        self.routes.extend(other.routes);
        self.resolvers.extend(other.resolvers);
        self.hostnames.extend(other.hostnames);
        self.time_servers.extend(other.time_servers);
    }
}

fn status(
    operator: &OperatorSpec,
    view: &View,
    running: bool,
    previous: Option<&OperatorStatus>,
) -> OperatorStatus {
    let lease = view.lease.as_ref();
    OperatorStatus {
        link: operator.link.clone(),
        state: if running { view.state } else { LeaseState::Waiting },
        address: lease.map(Lease::net),
        server: lease.and_then(|lease| lease.reply.server),
        expires: lease
            .and_then(Lease::expires)
            .and_then(|at| wall_clock(at, previous.and_then(|old| old.expires))),
        message: if running { view.message.clone() } else { "the link is not there".to_owned() },
    }
}

/// The time of day of an instant. A value within a few seconds of the previous one is that one, so that a status does not
/// change each time it is computed.
fn wall_clock(at: Instant, previous: Option<Timestamp>) -> Option<Timestamp> {
    let left = at.saturating_duration_since(Instant::now());
    let time = Timestamp::now().checked_add(left).ok()?;
    match previous {
        Some(previous) if time.duration_since(previous).abs().as_secs() < 5 => Some(previous),
        _ => Some(time),
    }
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}
