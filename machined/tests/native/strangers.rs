//! Clients that do not get in, and what each is told.

use std::{sync::Arc, time::SystemTime};

use corten_client::{Client, ExitCode, Problem};
use corten_pki::{Ca, KeyType, Leaf, Usage};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::pem::PemObject as _};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::TlsConnector;

use crate::node::{DAY, Node, options, problem, request};

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let node = Node::start();
    let found = problem(Client::connect_insecure(&node.address, None, options()).await).await;
    assert!(matches!(found, Problem::CertificateRequired), "{found:?}");
    assert_eq!(found.exit_code(), ExitCode::Tls);
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let node = Node::start();
    let other = Ca::generate("os", KeyType::Ed25519).unwrap();
    let leaf = other.issue(&request("admin", "os:admin", Usage::Client)).unwrap();
    let found = node.problem(&node.context_of(&leaf, &node.ca.cert_pem)).await;
    assert!(matches!(found, Problem::ClientNotTrusted), "{found:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_named_as_such() {
    let node = Node::start();
    let leaf =
        node.ca.issue_at(&request("admin", "os:admin", Usage::Client), SystemTime::now() - 2 * DAY).unwrap();
    let found = node.problem(&node.context_of(&leaf, &node.ca.cert_pem)).await;
    assert!(matches!(found, Problem::ClientCertificateExpired { .. }), "{found:?}");
    assert!(found.hint().unwrap().contains("osctl gen config"), "{found:?}");
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused_as_a_matter_of_clocks() {
    let node = Node::start();
    let leaf =
        node.ca.issue_at(&request("admin", "os:admin", Usage::Client), SystemTime::now() + DAY).unwrap();
    let found = node.problem(&node.context_of(&leaf, &node.ca.cert_pem)).await;
    assert!(matches!(found, Problem::ClockSkew { .. }), "{found:?}");
}

#[tokio::test]
async fn a_servers_certificate_does_not_serve_as_a_clients() {
    let node = Node::start();
    let leaf = node.ca.issue(&request("node", "os:admin", Usage::Server)).unwrap();
    let found = node.problem(&node.context_of(&leaf, &node.ca.cert_pem)).await;
    assert_eq!(found.exit_code(), ExitCode::Tls, "{found:?}");
}

#[tokio::test]
async fn a_leaf_cannot_act_as_a_ca() {
    let node = Node::start();
    let parent = node.ca.issue(&request("tester", "os:reader", Usage::Both)).unwrap();
    let forger = Ca { cert_pem: parent.cert_pem.clone(), key_pem: parent.key_pem };
    let forged = forger.issue(&request("admin", "os:admin", Usage::Client)).unwrap();
    let chain = Leaf { cert_pem: format!("{}{}", forged.cert_pem, parent.cert_pem), key_pem: forged.key_pem };
    let found = node.problem(&node.context_of(&chain, &node.ca.cert_pem)).await;
    assert_eq!(found.exit_code(), ExitCode::Tls, "{found:?}");
}

/// A handshake with the versions of choice and a certificate that is good; an error when the node does not agree.
async fn handshake(node: &Node, version: &'static rustls::SupportedProtocolVersion) -> std::io::Result<()> {
    let leaf = node.ca.issue(&request("admin", "os:admin", Usage::Client)).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(node.ca.cert_pem.as_bytes()).unwrap())
        .unwrap();
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_slice(leaf.cert_pem.as_bytes()).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(leaf.key_pem.expose().as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(&node.address).await?;
    let name = "127.0.0.1".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    // The node's first HTTP/2 frame: only now has it accepted us.
    stream.read_u8().await.map(drop)
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let node = Node::start();
    handshake(&node, &rustls::version::TLS13).await.unwrap();
    let error = handshake(&node, &rustls::version::TLS12).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}
