//! The controllers together, against a real kernel and a DHCP server of the test, in a network namespace.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use corten_controller::Runtime;
use corten_resources::network::{
    AddressStatus, Layer, LinkSpec, LinkStatus, OperatorKind, OperatorSpec, OperatorStatus, RouteStatus,
};
use corten_store::Store;
use corten_sys::netlink::{LinkChange, Netlink, Prefix};
use tokio::sync::watch;

use super::*;

/// Bytes of a DHCP message before the options: BOOTP header and magic cookie.
const HEADER: usize = 240;
const DISCOVER: u8 = 1;

/// Answers every request with 10.9.0.15/24, router 10.9.0.1.
fn serve(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 1500];
    loop {
        let (length, _) = socket.recv_from(&mut buffer)?;
        let request = &buffer[..length];
        // Option 53 comes first or somewhere: look for it.
        let kind = request[HEADER..].windows(3).find(|option| option[..2] == [53, 1]).unwrap()[2];
        let mut reply = request[..HEADER].to_vec();
        reply[0] = 2;
        reply[16..20].copy_from_slice(&[10, 9, 0, 15]);
        reply.extend([53, 1, if kind == DISCOVER { 2 } else { 5 }]);
        reply.extend([
            54, 4, 10, 9, 0, 1, 1, 4, 255, 255, 255, 0, 3, 4, 10, 9, 0, 1, 51, 4, 0, 0, 14, 16, 255,
        ]);
        // A card that is only just up may refuse the first one; the client asks again.
        if let Err(error) = socket.send_to(&reply, "10.9.0.255:68") {
            println!("the server could not answer: {error}");
        }
    }
}

#[test]
fn a_link_gets_its_address_and_route_from_dhcp_at_once() {
    let thread = std::thread::spawn(|| {
        if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
            println!("skipped: no network namespace can be made here: {error}");
            return;
        }
        if !std::process::Command::new("ip")
            .args("link add client type veth peer name server".split(' '))
            .status()
            .is_ok_and(|status| status.success())
        {
            println!("skipped: no ip program, or no veth in this kernel");
            return;
        }
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(lease_a_route());
    });
    thread.join().unwrap();
}

async fn lease_a_route() {
    let kernel = Netlink::connect().unwrap();
    let server = kernel.links().await.unwrap().into_iter().find(|link| link.name == "server").unwrap();
    kernel.set_link(server.index, LinkChange { up: Some(true), mtu: None }).await.unwrap();
    let address = Prefix { address: Ipv4Addr::new(10, 9, 0, 1).into(), length: 24 };
    kernel.put_address(server.index, address).await.unwrap();
    let socket = UdpSocket::bind("0.0.0.0:67").unwrap();
    socket.set_broadcast(true).unwrap();
    std::thread::spawn(move || serve(&socket));

    let store = Store::new();
    let mut runtime = Runtime::new(store.clone());
    let monitor = monitor::Monitor::start().unwrap();
    runtime.add(link_status::LinkStatusController { kernel: kernel.clone(), wake: monitor.links });
    runtime.add(address_status::AddressStatusController { kernel: kernel.clone(), wake: monitor.addresses });
    runtime.add(route_status::RouteStatusController { kernel: kernel.clone(), wake: monitor.routes });
    runtime.add(link_spec::LinkSpecController { kernel: kernel.clone() });
    runtime.add(route_spec::RouteSpecController { kernel: kernel.clone() });
    runtime.add(dhcp4::Dhcp4Controller::default());
    let link = LinkSpec { link: "client".into(), layer: Layer::Default, up: Some(true), mtu: None };
    store.put::<LinkSpec>("test", "default/client", link).unwrap();
    let operator = OperatorSpec {
        kind: OperatorKind::Dhcp4,
        link: "client".into(),
        metric: 1024,
        layer: Layer::Default,
    };
    store.put::<OperatorSpec>("test", "dhcp4/client", operator).unwrap();
    // The server's own address carries our number too, so this controller would remove it: it is wanted here.
    let own = corten_resources::network::AddressSpec {
        link: "server".into(),
        address: "10.9.0.1/24".parse().unwrap(),
        layer: Layer::Config,
    };
    store.put::<corten_resources::network::AddressSpec>("test", "config/server", own).unwrap();
    runtime.add(address_spec::AddressSpecController { kernel });
    let (_stop, shutdown) = watch::channel(false);
    let started = Instant::now();
    let _running = runtime.start(shutdown);
    let all = async {
        store.wait_for::<LinkStatus>("client", |link| link.is_some_and(|link| link.up && link.carrier)).await;
        store
            .wait_for::<OperatorStatus>("dhcp4/client", |status| status.is_some_and(|s| s.address.is_some()))
            .await;
        store
            .wait_for::<AddressStatus>("client/10.9.0.15/24", |address| address.is_some_and(|a| a.managed))
            .await;
        store
            .wait_for::<RouteStatus>("0.0.0.0/0/client/1024", |route| route.is_some_and(|r| r.managed))
            .await;
    };
    let done = tokio::time::timeout(Duration::from_secs(60), all).await;
    assert!(
        done.is_ok(),
        "{:#?}",
        ["LinkStatus", "OperatorStatus", "AddressStatus", "RouteStatus", "ControllerStatus"]
            .map(|kind| store.list_any(kind))
    );
    println!("address and route after {:?}", started.elapsed());
}
