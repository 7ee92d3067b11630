//! Against the real kernel, in a network namespace of the test's own thread.

use super::*;
use rtnetlink::LinkVeth;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

/// Runs a test on a thread with a network namespace of its own; skips when we may not make one.
fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
        if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
            println!("skipped: no network namespace can be made here: {error}");
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
    thread.join().unwrap();
}

/// A link whose other end is up.
async fn new_link(netlink: &Netlink) -> Link {
    netlink.handle.link().add(LinkVeth::new("v0", "v1").build()).execute().await.unwrap();
    let links = netlink.links().await.unwrap();
    let find = |name: &str| links.iter().find(|link| link.name == name).unwrap().clone();
    netlink.set_link(find("v1").index, LinkChange { up: Some(true), mtu: None }).await.unwrap();
    find("v0")
}

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix { address: address.parse().unwrap(), length: length.parse().unwrap() }
}

#[test]
fn a_link_is_described_and_changed() {
    in_namespace(async || {
        let netlink = Netlink::connect().unwrap();
        let link = new_link(&netlink).await;
        assert_eq!((link.kind.as_deref(), link.up, link.is_physical()), (Some("veth"), false, false));
        assert!(link.mac.is_some());
        netlink.set_link(link.index, LinkChange { up: Some(true), mtu: Some(1400) }).await.unwrap();
        let link = netlink.links().await.unwrap().into_iter().find(|link| link.name == "v0").unwrap();
        assert_eq!((link.up, link.carrier, link.mtu), (true, true, 1400));
        let error = netlink.set_link(4242, LinkChange { up: Some(true), mtu: None }).await.unwrap_err();
        assert!(error.is_gone(), "{error:?}");
    });
}

#[test]
fn addresses_of_ours_are_told_from_others() {
    in_namespace(async || {
        let netlink = Netlink::connect().unwrap();
        let link = new_link(&netlink).await;
        netlink.set_link(link.index, LinkChange { up: Some(true), mtu: None }).await.unwrap();
        let ours = prefix("10.9.0.1/24");
        netlink.put_address(link.index, ours).await.unwrap();
        netlink.put_address(link.index, ours).await.unwrap();
        let theirs: IpAddr = "10.9.1.1".parse().unwrap();
        netlink.handle.address().add(link.index, theirs, 24).execute().await.unwrap();
        let addresses = netlink.addresses().await.unwrap();
        let find = |ip: IpAddr| addresses.iter().find(|address| address.prefix.address == ip).unwrap();
        assert_eq!(find(ours.address).scope, AddressScope::Global);
        assert!(!find(theirs).ours);
        // IFA_PROTO came with Linux 5.18, after this file.
        if std::path::Path::new("/proc/sys/net/ipv4/conf/lo/arp_evict_nocarrier").exists() {
            assert!(find(ours.address).ours);
        }
        netlink.delete_address(link.index, ours).await.unwrap();
        assert!(netlink.delete_address(link.index, ours).await.unwrap_err().is_gone());
    });
}

#[test]
fn routes_come_and_go_with_protocol_and_metric() {
    in_namespace(async || {
        let netlink = Netlink::connect().unwrap();
        let link = new_link(&netlink).await;
        netlink.set_link(link.index, LinkChange { up: Some(true), mtu: None }).await.unwrap();
        netlink.put_address(link.index, prefix("10.9.0.1/24")).await.unwrap();
        netlink.put_address(link.index, prefix("fd00::1/64")).await.unwrap();
        let route = |to: &str, gateway: Option<&str>| Route {
            destination: prefix(to),
            gateway: gateway.map(|ip| ip.parse().unwrap()),
            link: link.index,
            metric: 512,
            protocol: OWNER_PROTOCOL,
            kind: RouteKind::Unicast,
        };
        let wanted = [
            route("0.0.0.0/0", Some("10.9.0.254")),
            route("192.0.2.0/24", None),
            route("::/0", Some("fd00::ff")),
            route("2001:db8::/32", None),
        ];
        for route in &wanted {
            netlink.put_route(route).await.unwrap();
        }
        let ours = async || {
            let mut routes = netlink.routes().await.unwrap();
            routes.retain(Route::is_ours);
            routes
        };
        let have = ours().await;
        assert!(wanted.iter().all(|route| have.contains(route)), "{have:#?}");
        assert_eq!(have.len(), wanted.len());
        for route in &wanted {
            netlink.delete_route(route).await.unwrap();
        }
        assert!(ours().await.is_empty());
        assert!(netlink.delete_route(&wanted[0]).await.unwrap_err().is_gone());
    });
}

#[test]
fn a_subscriber_hears_of_each_area() {
    in_namespace(async || {
        let mut changes = Netlink::subscribe().unwrap();
        let netlink = Netlink::connect().unwrap();
        let link = new_link(&netlink).await;
        netlink.set_link(link.index, LinkChange { up: Some(true), mtu: None }).await.unwrap();
        netlink.put_address(link.index, prefix("10.9.0.1/24")).await.unwrap();
        let mut waiting = vec![Change::Links, Change::Addresses, Change::Routes];
        while !waiting.is_empty() {
            let change = tokio::time::timeout(Duration::from_secs(5), changes.next()).await.unwrap().unwrap();
            waiting.retain(|wanted| *wanted != change);
        }
    });
}

#[test]
fn many_may_ask_at_the_same_time() {
    in_namespace(async || {
        let netlink = Netlink::connect().unwrap();
        new_link(&netlink).await;
        let asks = (0..30).map(async |number| match number % 3 {
            0 => netlink.links().await.map(|all| all.len()),
            1 => netlink.addresses().await.map(|all| all.len()),
            _ => netlink.routes().await.map(|all| all.len()),
        });
        let answers = futures::future::join_all(asks).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    });
}
