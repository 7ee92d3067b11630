//! What can be wrong with a node is recognised by the client, named, and comes with what to do next.

use std::time::{Duration, SystemTime};

use corten_client::{Client, Context, ExitCode, Fingerprint, Options, Problem};
use corten_pki::{Ca, KeyType, Leaf};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::node::{DAY, Node, Shows, eventually, options, problem, version};

fn fingerprint(leaf: &Leaf) -> Fingerprint {
    corten_pki::fingerprint(&leaf.cert_pem).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_node_of_another_cluster_is_recognised() {
    let node = Node::start();
    let other = Ca::generate("os", KeyType::Ed25519).unwrap();
    let mut context = node.context("os:admin");
    context.ca = Context::new(vec![], &other.cert_pem, "", "").ca;
    let found = node.problem(&context).await;
    assert!(matches!(found, Problem::WrongCa { fingerprint: Some(_) }), "{found:?}");
    assert!(found.hint().unwrap().contains("--context"), "{found:?}");
    assert_eq!(found.exit_code(), ExitCode::Tls);
}

#[tokio::test]
async fn an_expired_certificate_of_the_node_is_recognised() {
    let node = Node::showing(Shows::Certificate(SystemTime::now() - 3 * DAY));
    let found = node.problem(&node.context("os:admin")).await;
    let Problem::NodeCertificateExpired { ago } = found else { panic!("{found:?}") };
    assert!(ago > DAY && ago < 3 * DAY, "{ago:?}");
}

#[tokio::test]
async fn a_clock_that_is_behind_is_recognised_and_measured() {
    let node = Node::showing(Shows::Certificate(SystemTime::now() + 2 * DAY));
    let found = node.problem(&node.context("os:admin")).await;
    let Problem::ClockSkew { behind: Some(behind) } = found else { panic!("{found:?}") };
    assert!(behind > DAY && behind <= 2 * DAY, "{behind:?}");
}

#[tokio::test]
async fn a_name_that_is_not_in_the_certificate_is_recognised() {
    let node = Node::start();
    let port = node.address.rsplit_once(':').unwrap().1;
    let context = node.context("os:admin");
    let found = problem(Client::connect(&context, &format!("localhost:{port}"), options()).await).await;
    let Problem::WrongName { name, names } = found else { panic!("{found:?}") };
    assert_eq!(name, "localhost");
    assert!(names.iter().any(|name| name.contains("127.0.0.1")), "{names:?}");
}

#[tokio::test]
async fn a_machine_in_maintenance_is_recognised_and_pinned() {
    let node = Node::showing(Shows::Maintenance);
    let found = node.problem(&node.context("os:admin")).await;
    let Problem::Maintenance { fingerprint: Some(shown) } = found else { panic!("{found:?}") };
    assert!(found.hint().unwrap().contains(&shown.to_string()));
    assert_eq!(found.exit_code(), ExitCode::State);

    let client = Client::connect_insecure(&node.address, Some(shown), options()).await.unwrap();
    version(&client).await.unwrap();
    assert!(client.in_maintenance());
    let pinned = Some(Fingerprint::of(b"another machine"));
    let found = problem(Client::connect_insecure(&node.address, pinned, options()).await).await;
    assert!(matches!(found, Problem::WrongFingerprint { .. }), "{found:?}");
}

#[tokio::test]
async fn a_closed_port_is_told_from_a_machine_that_says_nothing_and_from_another_server() {
    let node = Node::start();
    let context = node.context("os:admin");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();

    let quick = Options { connect_timeout: Duration::from_millis(300), ..options() };
    let found = problem(Client::connect(&context, &address, quick).await).await;
    assert!(matches!(found, Problem::ConnectTimeout { .. }), "{found:?}");

    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The first in line is the connection that gave up above.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let found = problem(Client::connect(&context, &address, options()).await).await;
    assert!(matches!(found, Problem::NotCorten { .. }), "{found:?}");

    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let found = problem(Client::connect(&context, &address, options()).await).await;
    assert!(matches!(found, Problem::Refused { .. }), "{found:?}");
    assert_eq!(found.exit_code(), ExitCode::Unreachable);
}

#[tokio::test]
async fn a_role_that_is_too_low_is_named_with_what_is_needed() {
    let node = Node::start();
    let client = node.client("os:reader").await;
    let status = client.machine().reboot(corten_api::v1::RebootRequest::default()).await.unwrap_err();
    let error = client.error(&status);
    assert_eq!(error.problem.code(), "access.denied");
    assert_eq!(error.problem.exit_code(), ExitCode::Permission);
    let text = error.to_string();
    assert!(text.contains("os:operator") && text.contains("os:reader") && text.contains("tester"), "{text}");
    assert!(error.problem.hint().is_some());
}

#[tokio::test]
async fn a_machined_that_is_down_is_named_and_found_again() {
    let mut node = Node::start();
    let client = node.client("os:reader").await;
    version(&client).await.unwrap();
    node.kill_machined();
    let error = version(&client).await.unwrap_err();
    assert_eq!(error.problem.code(), "proxy.unavailable", "{error:?}");
    assert_eq!(error.problem.exit_code(), ExitCode::Unreachable);
    node.restart_machined();
    eventually("an answer after the restart", || async { version(&client).await.ok() }).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_in_force_without_a_restart() {
    let node = Node::start();
    let before = node.client("os:reader").await;
    let renewed = fingerprint(&node.replace_certificate());
    assert_ne!(before.fingerprint(), Some(renewed));
    eventually("the renewed certificate", || async {
        (node.client("os:reader").await.fingerprint() == Some(renewed)).then_some(())
    })
    .await;
    version(&before).await.unwrap();
}
