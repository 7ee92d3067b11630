//! The states of a DHCPv4 client (RFC 2131, section 4.4). No I/O and no clock: time comes in, messages go out.
//!
//! ```text
//!            offer              ack
//! Selecting ───────▶ Requesting ────▶ Bound ── T1 ──▶ Renewing ── T2 ──▶ Rebinding
//!     ▲                  │              ▲                 │ ack              │ ack
//!     │   no answer, nak │              └─────────────────┴──────────────────┤
//!     └──────────────────┴──────────────────── nak, lease ended ─────────────┘
//! ```
//! A client that had a lease before the cable was pulled begins in Requesting, for the same address.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use corten_resources::network::LeaseState;
use corten_sys::packet::{DhcpReply, DhcpRequest, ReplyKind, RequestKind};

use super::lease::Lease;

/// Pauses before each repetition; the last one repeats. The first is short, because a server that was there answers
/// within milliseconds, and a switch port or a bridge that is just learning loses the first message.
const PAUSES: [Duration; 8] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
    Duration::from_secs(64),
];
/// So often a chosen server is asked before another one is looked for.
const REQUESTS: usize = 4;
/// Shortest pause between two requests for more time.
const RENEW_PAUSE: Duration = Duration::from_secs(10);

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Send {
    /// To every server on the link.
    Broadcast(DhcpRequest),
    /// To the server of the lease.
    Unicast { from: Ipv4Addr, server: Ipv4Addr, request: DhcpRequest },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Selecting,
    Requesting { address: Ipv4Addr, server: Option<Ipv4Addr> },
    Bound,
    Renewing,
    Rebinding,
}

/// The client on one link.
#[derive(Debug)]
pub(super) struct Machine {
    mac: [u8; 6],
    hostname: Option<String>,
    transaction: u32,
    state: State,
    /// The lease that is in force, in whatever state.
    lease: Option<Lease>,
    /// When the exchange began.
    since: Instant,
    attempt: usize,
    next: Option<Instant>,
}

impl Machine {
    /// A client that is about to begin, with the lease that it had before, if any. `transaction` should be random.
    pub(super) fn start(
        mac: [u8; 6],
        hostname: Option<String>,
        lease: Option<Lease>,
        transaction: u32,
        now: Instant,
    ) -> (Self, Send) {
        let lease = lease.filter(|lease| lease.expires().is_none_or(|end| end > now));
        let state = match &lease {
            Some(lease) => State::Requesting { address: lease.reply.address, server: None },
            None => State::Selecting,
        };
        let mut machine =
            Self { mac, hostname, transaction, state, lease, since: now, attempt: 0, next: None };
        let first = machine.ask(now);
        (machine, first)
    }

    /// The lease in force.
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Where the client is, for people.
    pub(super) fn state(&self) -> LeaseState {
        match self.state {
            State::Selecting => LeaseState::Selecting,
            State::Requesting { .. } => LeaseState::Requesting,
            State::Bound => LeaseState::Bound,
            State::Renewing => LeaseState::Renewing,
            State::Rebinding => LeaseState::Rebinding,
        }
    }

    /// How often the present question was asked.
    pub(super) fn attempts(&self) -> usize {
        self.attempt
    }

    /// When to call [`Self::on_time`]; none is never.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let end = self.lease.as_ref().and_then(Lease::expires);
        [self.next, end].into_iter().flatten().min()
    }

    /// The deadline has come.
    pub(super) fn on_time(&mut self, now: Instant) -> Option<Send> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        if self.lease.as_ref().and_then(Lease::expires).is_some_and(|end| now >= end) {
            self.lease = None;
            if !matches!(self.state, State::Selecting) {
                return Some(self.enter(State::Selecting, now));
            }
        }
        match self.state {
            State::Requesting { .. } if self.attempt >= REQUESTS => Some(self.enter(State::Selecting, now)),
            State::Bound => Some(self.enter(State::Renewing, now)),
            State::Renewing if self.rebinds(now) => Some(self.enter(State::Rebinding, now)),
            _ => Some(self.ask(now)),
        }
    }

    /// A server has answered. Tells what to send; the lease may have changed.
    pub(super) fn on_reply(&mut self, reply: DhcpReply, now: Instant) -> Option<Send> {
        if reply.transaction != self.transaction || reply.mac != self.mac {
            return None;
        }
        match (self.state, reply.kind) {
            (State::Selecting, ReplyKind::Offer) if usable(reply.address) && reply.server.is_some() => {
                Some(self.enter(State::Requesting { address: reply.address, server: reply.server }, now))
            }
            (State::Selecting | State::Bound, _) | (_, ReplyKind::Offer) => None,
            (_, ReplyKind::Nak) => {
                self.lease = None;
                Some(self.enter(State::Selecting, now))
            }
            (_, ReplyKind::Ack) if usable(reply.address) => {
                self.bind(reply, now);
                None
            }
            (_, ReplyKind::Ack) => None,
        }
    }

    fn bind(&mut self, mut reply: DhcpReply, now: Instant) {
        // Some servers leave their identifier out of a renewal's answer: keep the one that we know.
        let known = match self.state {
            State::Requesting { server, .. } => server,
            _ => None,
        };
        reply.server = reply.server.or(known).or(self.lease.as_ref().and_then(|lease| lease.reply.server));
        let lease = Lease { reply, since: now };
        self.state = State::Bound;
        self.attempt = 0;
        self.next = lease.renew_at();
        self.lease = Some(lease);
    }

    /// Changes the state and asks its question for the first time.
    fn enter(&mut self, state: State, now: Instant) -> Send {
        self.state = state;
        self.attempt = 0;
        if !matches!(state, State::Requesting { .. }) {
            // A new exchange, except that a request belongs to the offer that it takes.
            self.transaction = self.transaction.wrapping_mul(0x9e37_79b1).wrapping_add(1);
            self.since = now;
        }
        self.ask(now)
    }

    /// Asks the question of the present state, again or for the first time, and sets the time for the next try.
    fn ask(&mut self, now: Instant) -> Send {
        let pause = match self.state {
            State::Renewing => self.until(now, self.lease.as_ref().and_then(Lease::rebind_at)),
            State::Rebinding => self.until(now, self.lease.as_ref().and_then(Lease::expires)),
            _ => self.jitter(PAUSES[self.attempt.min(PAUSES.len() - 1)]),
        };
        self.attempt += 1;
        self.next = now.checked_add(pause);
        self.message(now)
    }

    fn message(&self, now: Instant) -> Send {
        let seconds = u16::try_from(now.saturating_duration_since(self.since).as_secs()).unwrap_or(u16::MAX);
        let mut request = DhcpRequest {
            kind: RequestKind::Request,
            transaction: self.transaction,
            mac: self.mac,
            seconds,
            current: None,
            requested: None,
            server: None,
            hostname: self.hostname.clone(),
        };
        let leased = self.lease.as_ref().map(|lease| (lease.reply.address, lease.reply.server));
        match (self.state, leased) {
            (State::Requesting { address, server }, _) => {
                request.requested = Some(address);
                request.server = server;
            }
            (State::Renewing, Some((from, Some(server)))) => {
                request.current = Some(from);
                return Send::Unicast { from, server, request };
            }
            (State::Bound | State::Renewing | State::Rebinding, Some((address, _))) => {
                request.current = Some(address);
            }
            _ => request.kind = RequestKind::Discover,
        }
        Send::Broadcast(request)
    }

    fn rebinds(&self, now: Instant) -> bool {
        self.lease.as_ref().and_then(Lease::rebind_at).is_some_and(|at| now >= at)
    }

    /// Half of the time until `end`, but neither too often nor later than `end`.
    fn until(&self, now: Instant, end: Option<Instant>) -> Duration {
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
        (left / 2).max(RENEW_PAUSE).min(left)
    }

    /// Up to a tenth more, so that a rack that is switched on at once does not ask in step for ever.
    fn jitter(&self, pause: Duration) -> Duration {
        let step =
            self.transaction.wrapping_add(u32::try_from(self.attempt).unwrap_or_default().wrapping_mul(7919));
        pause + pause / 1000 * (step % 100)
    }
}

fn usable(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_broadcast() && !address.is_loopback() && !address.is_multicast()
}
