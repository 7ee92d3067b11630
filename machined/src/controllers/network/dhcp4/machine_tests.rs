//! Tests of the client's states.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use corten_resources::network::LeaseState;
use corten_sys::packet::{DhcpReply, ReplyKind, RequestKind};

use super::fixtures::{MAC, ack, lease};
use super::machine::{Machine, Send};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

struct Client {
    machine: Machine,
    now: Instant,
    last: Send,
}

impl Client {
    fn new(known: bool) -> Self {
        let now = Instant::now();
        let (machine, last) = Machine::start(MAC, None, known.then(|| lease(now)), 7, now);
        Self { machine, now, last }
    }

    /// Answers the last message.
    fn answer(&mut self, kind: ReplyKind) -> Option<Send> {
        let (Send::Broadcast(request) | Send::Unicast { request, .. }) = &self.last;
        let reply = DhcpReply { kind, transaction: request.transaction, ..ack() };
        let sent = self.machine.on_reply(reply, self.now);
        self.last = sent.clone().unwrap_or_else(|| self.last.clone());
        sent
    }

    /// Goes on to the next deadline; tells how long that took.
    fn wait(&mut self) -> Duration {
        let deadline = self.machine.deadline().unwrap();
        let waited = deadline - self.now;
        self.now = deadline;
        if let Some(sent) = self.machine.on_time(self.now) {
            self.last = sent;
        }
        waited
    }

    fn bound() -> Self {
        let mut client = Self::new(false);
        client.answer(ReplyKind::Offer).unwrap();
        assert_eq!(client.answer(ReplyKind::Ack), None);
        client
    }

    fn kind(&self) -> RequestKind {
        let (Send::Broadcast(request) | Send::Unicast { request, .. }) = &self.last;
        request.kind
    }
}

#[test]
fn two_exchanges_lead_to_a_lease() {
    let mut client = Client::new(false);
    assert_eq!((client.kind(), client.machine.state()), (RequestKind::Discover, LeaseState::Selecting));
    let Some(Send::Broadcast(request)) = client.answer(ReplyKind::Offer) else { panic!() };
    assert_eq!((request.requested, request.server), (Some([10, 0, 2, 15].into()), Some(SERVER)));
    assert!(client.machine.lease().is_none());
    client.answer(ReplyKind::Ack);
    assert_eq!(client.machine.state(), LeaseState::Bound);
    assert_eq!(client.machine.lease().unwrap().net().to_string(), "10.0.2.15/24");
}

#[test]
fn the_first_repetition_is_quick_and_the_pauses_grow() {
    let mut client = Client::new(false);
    let pauses: Vec<u128> = (0..5).map(|_| client.wait().as_millis()).collect();
    for (pause, least) in pauses.iter().zip([300, 1000, 2000, 4000, 8000]) {
        assert!((least..=least * 11 / 10).contains(pause), "{pauses:?}");
    }
}

#[test]
fn a_silent_server_is_given_up_for_another() {
    let mut client = Client::new(false);
    client.answer(ReplyKind::Offer);
    for _ in 0..4 {
        assert_eq!(client.machine.state(), LeaseState::Requesting);
        client.wait();
    }
    assert_eq!((client.kind(), client.machine.state()), (RequestKind::Discover, LeaseState::Selecting));
}

#[test]
fn a_lease_is_renewed_with_its_server_at_half_life() {
    let mut client = Client::bound();
    assert_eq!(client.wait().as_secs(), 1800);
    let Send::Unicast { from, server, request } = client.last.clone() else { panic!() };
    assert_eq!((from, server, request.current), ([10, 0, 2, 15].into(), SERVER, Some(from)));
    assert_eq!((request.requested, request.server), (None, None));
    client.answer(ReplyKind::Ack);
    assert_eq!(client.machine.state(), LeaseState::Bound);
    assert_eq!(client.wait().as_secs(), 1800);
}

#[test]
fn without_an_answer_every_server_is_asked_and_then_the_lease_is_lost() {
    let mut client = Client::bound();
    let start = client.now;
    while client.machine.state() != LeaseState::Rebinding {
        client.wait();
    }
    assert_eq!((client.now - start).as_secs(), 3150);
    assert!(matches!(client.last, Send::Broadcast(_)));
    while client.machine.lease().is_some() {
        client.wait();
    }
    assert_eq!((client.now - start).as_secs(), 3600);
    assert_eq!((client.kind(), client.machine.state()), (RequestKind::Discover, LeaseState::Selecting));
}

#[test]
fn a_refusal_ends_the_lease_at_once() {
    let mut client = Client::bound();
    client.wait();
    client.answer(ReplyKind::Nak);
    assert!(client.machine.lease().is_none());
    assert_eq!(client.kind(), RequestKind::Discover);
}

#[test]
fn after_the_cable_was_pulled_the_same_address_is_asked_for() {
    let mut client = Client::new(true);
    let Send::Broadcast(request) = client.last.clone() else { panic!() };
    assert_eq!((request.requested, request.server), (Some([10, 0, 2, 15].into()), None));
    assert!(client.machine.lease().is_some(), "the address stays while we ask");
    client.answer(ReplyKind::Ack);
    assert_eq!(client.machine.lease().unwrap().reply.server, Some(SERVER));
}

#[test]
fn answers_to_others_are_ignored() {
    let mut client = Client::new(false);
    let offer = DhcpReply { kind: ReplyKind::Offer, transaction: 7, ..ack() };
    for reply in [
        DhcpReply { transaction: 8, ..offer.clone() },
        DhcpReply { mac: [9; 6], ..offer.clone() },
        DhcpReply { address: Ipv4Addr::UNSPECIFIED, ..offer.clone() },
        DhcpReply { address: Ipv4Addr::LOCALHOST, ..offer.clone() },
        DhcpReply { kind: ReplyKind::Ack, ..offer.clone() },
        DhcpReply { kind: ReplyKind::Nak, ..offer },
    ] {
        assert_eq!(client.machine.on_reply(reply, client.now), None);
    }
    assert_eq!(client.machine.state(), LeaseState::Selecting);
}
