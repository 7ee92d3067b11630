//! Answers and leases for tests.

use std::net::Ipv4Addr;
use std::time::Instant;

use corten_resources::network::{Layer, OperatorKind, OperatorSpec};
use corten_sys::packet::{DhcpReply, ReplyKind};

use super::lease::Lease;

pub(super) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// What QEMU's user network says.
pub(super) fn ack() -> DhcpReply {
    DhcpReply {
        kind: ReplyKind::Ack,
        transaction: 7,
        mac: MAC,
        address: Ipv4Addr::new(10, 0, 2, 15),
        prefix_length: 24,
        server: Some(Ipv4Addr::new(10, 0, 2, 2)),
        routers: vec![Ipv4Addr::new(10, 0, 2, 2)],
        routes: vec![],
        nameservers: vec![],
        search: vec![],
        time_servers: vec![],
        hostname: None,
        mtu: None,
        lease_seconds: 3600,
        renew_seconds: None,
        rebind_seconds: None,
    }
}

pub(super) fn lease(since: Instant) -> Lease {
    Lease { reply: ack(), since }
}

pub(super) fn operator() -> OperatorSpec {
    OperatorSpec { kind: OperatorKind::Dhcp4, link: "eth0".into(), metric: 1024, layer: Layer::Default }
}
