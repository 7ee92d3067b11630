//! The task that runs a client on one link: sockets and timers around the [`Machine`].

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use corten_resources::network::LeaseState;
use corten_sys::packet::{DhcpReply, DhcpSocket, Unicast};
use tokio::sync::{Notify, watch};

use super::lease::Lease;
use super::machine::{Machine, Send};

/// Pause after a socket error: the link is on its way down, and the netlink event that says so is a moment behind.
const ERROR_PAUSE: Duration = Duration::from_millis(250);

/// What the client is for.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) index: u32,
    pub(super) mac: [u8; 6],
    pub(super) hostname: Option<String>,
}

/// What the controller sees of a client.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) state: LeaseState,
    pub(super) lease: Option<Lease>,
    pub(super) message: String,
}

impl Default for View {
    fn default() -> Self {
        Self { state: LeaseState::Waiting, lease: None, message: String::new() }
    }
}

/// Shared between the client and the controller.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    view: Arc<Mutex<View>>,
    wake: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self { view: Arc::default(), wake }
    }

    pub(super) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, view: View) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
        self.wake.notify_one();
    }
}

/// Runs until it is dropped. `carrier` tells whether the link can carry packets.
pub(super) async fn run(task: Task, mut carrier: watch::Receiver<bool>, shared: Shared) {
    loop {
        wait_for_carrier(&mut carrier, &shared).await;
        if let Err(error) = session(&task, &mut carrier, &shared).await {
            tracing::warn!(link = task.index, %error, "the DHCP client begins again");
            let view = View { message: format!("begins again: {error}"), ..shared.view() };
            shared.publish(view);
            tokio::time::sleep(ERROR_PAUSE).await;
        }
    }
}

/// Keeps the lease while the cable is out, for as long as it lasts: a short interruption breaks no connection.
async fn wait_for_carrier(carrier: &mut watch::Receiver<bool>, shared: &Shared) {
    while !*carrier.borrow_and_update() {
        let mut view = shared.view();
        let end = view.lease.as_ref().and_then(Lease::expires);
        if end.is_some_and(|end| end <= Instant::now()) {
            view.lease = None;
        }
        shared.publish(View {
            state: LeaseState::Waiting,
            message: "the link has no carrier".into(),
            ..view
        });
        tokio::select! {
            () = until(end) => {}
            changed = carrier.changed() => if changed.is_err() {
                // The controller is gone, and this task is about to be dropped with it.
                std::future::pending::<()>().await;
            },
        }
    }
}

/// One life of the socket: until the carrier is lost or an error.
async fn session(task: &Task, carrier: &mut watch::Receiver<bool>, shared: &Shared) -> io::Result<()> {
    let socket = DhcpSocket::open(task.index)?;
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let lease = shared.view().lease;
    let (mut machine, first) =
        Machine::start(task.mac, task.hostname.clone(), lease, u32::from_ne_bytes(random), Instant::now());
    // Open while a renewal is on its way, so that its answer finds an open port.
    let mut unicast = send(&socket, first).await?;
    loop {
        shared.publish(view(&machine));
        let message = tokio::select! {
            changed = carrier.changed() => {
                if changed.is_err() || !*carrier.borrow() {
                    return Ok(());
                }
                continue;
            }
            bytes = socket.receive() => match DhcpReply::decode(&bytes?) {
                Some(reply) => machine.on_reply(reply, Instant::now()),
                None => None,
            },
            () = until(machine.deadline()) => machine.on_time(Instant::now()),
        };
        if machine.state() == LeaseState::Bound {
            unicast = None;
        }
        if let Some(message) = message {
            unicast = send(&socket, message).await?.or(unicast);
        }
    }
}

async fn send(socket: &DhcpSocket, message: Send) -> io::Result<Option<Unicast>> {
    match message {
        Send::Broadcast(request) => {
            socket.broadcast(&request.encode().map_err(io::Error::other)?).await?;
            Ok(None)
        }
        Send::Unicast { from, server, request } => {
            let bytes = request.encode().map_err(io::Error::other)?;
            // Whatever goes wrong here (the address was removed, no route): rebinding comes later and needs neither.
            let unicast =
                Unicast::open(from, server).inspect_err(|error| tracing::debug!(%error, "cannot renew"));
            let unicast = unicast.ok();
            if let Some(Err(error)) = unicast.as_ref().map(|unicast| unicast.send(&bytes)) {
                tracing::debug!(%error, "cannot renew");
            }
            Ok(unicast)
        }
    }
}

fn view(machine: &Machine) -> View {
    let attempts = machine.attempts();
    let message = match machine.state() {
        LeaseState::Selecting if attempts > 2 => format!("no DHCP server has answered {attempts} requests"),
        LeaseState::Requesting if attempts > 2 => "the DHCP server does not confirm its offer".to_owned(),
        LeaseState::Rebinding => "the DHCP server does not renew the lease".to_owned(),
        _ => String::new(),
    };
    View { state: machine.state(), lease: machine.lease().cloned(), message }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
