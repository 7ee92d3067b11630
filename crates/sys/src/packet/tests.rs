//! The messages by themselves, and an exchange over a pair of virtual links in a network namespace.

use super::*;
use crate::netlink::{LinkChange, Netlink, Prefix};
use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
/// For a datagram, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(200);

fn discover() -> DhcpRequest {
    DhcpRequest {
        kind: RequestKind::Discover,
        transaction: 0x1234_5678,
        mac: MAC,
        seconds: 0,
        current: None,
        requested: None,
        server: None,
        hostname: Some("n1".into()),
    }
}

fn answer(request: &Message, kind: MessageType, extra: Vec<DhcpOption>) -> Vec<u8> {
    let mut reply = Message::default();
    reply.set_opcode(dhcproto::v4::Opcode::BootReply).set_xid(request.xid()).set_chaddr(request.chaddr());
    reply.set_yiaddr(Ipv4Addr::new(10, 9, 0, 15));
    reply.opts_mut().insert(DhcpOption::MessageType(kind));
    reply.opts_mut().insert(DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 9, 0, 1)));
    for option in extra {
        reply.opts_mut().insert(option);
    }
    reply.to_vec().unwrap()
}

#[test]
fn a_discover_carries_what_servers_expect() {
    let bytes = discover().encode().unwrap();
    assert!(bytes.len() >= 300);
    let message = Message::decode(&mut Decoder::new(&bytes)).unwrap();
    assert_eq!(message.opts().msg_type(), Some(MessageType::Discover));
    assert_eq!(message.chaddr(), MAC);
    assert!(message.flags().broadcast());
    let identifier = message.opts().get(OptionCode::ClientIdentifier);
    assert_eq!(identifier, Some(&DhcpOption::ClientIdentifier(vec![1, 0x52, 0x54, 0, 1, 2, 3])));
}

#[test]
fn a_renewal_names_its_address_and_no_server() {
    let address = Ipv4Addr::new(10, 9, 0, 15);
    let request = DhcpRequest { kind: RequestKind::Request, current: Some(address), ..discover() };
    let message = Message::decode(&mut Decoder::new(&request.encode().unwrap())).unwrap();
    assert_eq!(message.ciaddr(), address);
    assert!(!message.flags().broadcast());
    assert!(message.opts().get(OptionCode::RequestedIpAddress).is_none());
    assert!(message.opts().get(OptionCode::ServerIdentifier).is_none());
}

#[test]
fn an_ack_is_read() {
    let request = Message::decode(&mut Decoder::new(&discover().encode().unwrap())).unwrap();
    let options = vec![
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 252, 0)),
        DhcpOption::Router(vec![Ipv4Addr::new(10, 9, 0, 1)]),
        DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 9, 0, 3)]),
        DhcpOption::DomainName("Example.Test.".into()),
        DhcpOption::Hostname("node-7".into()),
        DhcpOption::InterfaceMtu(1450),
        DhcpOption::AddressLeaseTime(86400),
    ];
    let reply = DhcpReply::decode(&answer(&request, MessageType::Ack, options)).unwrap();
    assert_eq!((reply.kind, reply.mac, reply.transaction), (ReplyKind::Ack, MAC, 0x1234_5678));
    assert_eq!((reply.address, reply.prefix_length), (Ipv4Addr::new(10, 9, 0, 15), 22));
    assert_eq!(reply.search, ["example.test"]);
    assert_eq!(
        (reply.hostname.as_deref(), reply.mtu, reply.lease_seconds),
        (Some("node-7"), Some(1450), 86400)
    );
}

#[test]
fn names_that_would_break_out_of_a_file_are_dropped() {
    let request = Message::decode(&mut Decoder::new(&discover().encode().unwrap())).unwrap();
    for name in ["a\nnameserver 192.0.2.1", "-a", "a..b", "", "a b", "x\u{1b}[2J"] {
        let options = vec![DhcpOption::Hostname(name.into()), DhcpOption::DomainName(name.into())];
        let reply = DhcpReply::decode(&answer(&request, MessageType::Offer, options)).unwrap();
        assert_eq!((reply.hostname, reply.search), (None, vec![]), "{name:?}");
    }
}

#[test]
fn noise_is_not_an_answer() {
    assert!(DhcpReply::decode(&[]).is_none());
    assert!(DhcpReply::decode(&[0xff; 600]).is_none());
    assert!(DhcpReply::decode(&discover().encode().unwrap()).is_none());
}

#[test]
fn an_offer_arrives_on_a_link_without_an_address() {
    let thread = std::thread::spawn(|| {
        if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
            println!("skipped: no network namespace can be made here: {error}");
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(exchange());
    });
    thread.join().unwrap();
}

async fn exchange() {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    handle.link().add(rtnetlink::LinkVeth::new("client", "server").build()).execute().await.unwrap();
    let netlink = Netlink::connect().unwrap();
    let links = netlink.links().await.unwrap();
    let index = |name: &str| links.iter().find(|link| link.name == name).unwrap().index;
    for name in ["server", "client"] {
        netlink.set_link(index(name), LinkChange { up: Some(true), mtu: None }).await.unwrap();
    }
    let address = Prefix { address: Ipv4Addr::new(10, 9, 0, 1).into(), length: 24 };
    netlink.put_address(index("server"), address).await.unwrap();
    let server = UdpSocket::bind("0.0.0.0:67").unwrap();
    server.set_broadcast(true).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = DhcpSocket::open(index("client")).unwrap();
    client.broadcast(&discover().encode().unwrap()).await.unwrap();
    let mut buffer = [0; 1500];
    let (length, _) = server.recv_from(&mut buffer).unwrap();
    let request = Message::decode(&mut Decoder::new(&buffer[..length])).unwrap();
    let offer = answer(&request, MessageType::Offer, vec![]);
    let received = tokio::time::timeout(PATIENCE, async {
        // The kernel lets the server's link send some time after the other end came up, and drops what is sent before that.
        loop {
            // First something for another port, which the filter must keep away.
            server.send_to(b"noise", "10.9.0.255:69").unwrap();
            server.send_to(&offer, "10.9.0.255:68").unwrap();
            if let Ok(received) = tokio::time::timeout(AGAIN, client.receive()).await {
                break received.unwrap();
            }
        }
    });
    let received = received.await.unwrap();
    let reply = DhcpReply::decode(&received).unwrap();
    assert_eq!((reply.kind, reply.address), (ReplyKind::Offer, Ipv4Addr::new(10, 9, 0, 15)));
}
