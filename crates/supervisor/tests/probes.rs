//! Probes against real listeners.
#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corten_resources::runtime::Probe;
use corten_supervisor::probe::ask;
use http_body_util::Empty;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

const TIMEOUT: Duration = Duration::from_secs(5);

async fn check(probe: Probe) -> Result<(), String> {
    ask(&probe, TIMEOUT).await.map_err(|error| error.to_string())
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads a request, and answers 200 to `/ok` and 503 to anything else.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let status = if request.starts_with(b"GET /ok ") { "200 OK" } else { "503 Service Unavailable" };
    let response = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
    stream.write_all(response.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn tcp_and_unix_ask_whether_somebody_accepts() {
    let (listener, address) = listener().await;
    assert_eq!(check(Probe::Tcp { address }).await, Ok(()));
    drop(listener);
    let refused = check(Probe::Tcp { address }).await.unwrap_err();
    assert!(refused.contains(&address.to_string()) && refused.contains("refused"), "{refused}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket").to_str().unwrap().to_owned();
    let probe = Probe::Unix { path: path.clone() };
    assert!(check(probe.clone()).await.unwrap_err().contains(&path));
    let _listener = UnixListener::bind(&path).unwrap();
    assert_eq!(check(probe).await, Ok(()));
    assert_eq!(check(Probe::Path { path }).await, Ok(()));
}

#[tokio::test]
async fn http_wants_a_2xx() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    assert_eq!(check(Probe::Http { address, path: "/ok".into() }).await, Ok(()));
    let error = check(Probe::Http { address, path: "/readyz".into() }).await.unwrap_err();
    assert_eq!(error, format!("GET /readyz from {address} answers 503"));
}

#[tokio::test]
async fn a_server_that_says_nothing_runs_into_the_timeout() {
    let (listener, address) = listener().await;
    let probe = Probe::Http { address, path: "/ok".into() };
    let error = ask(&probe, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 200 ms");
    drop(listener);
}

#[tokio::test]
async fn a_server_that_breaks_off_is_told() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    assert!(
        check(Probe::Http { address, path: "/ok".into() }).await.unwrap_err().contains(&address.to_string())
    );
}

#[tokio::test]
async fn https_trusts_only_the_given_ca() {
    let ca = authority();
    let (listener, address) = listener().await;
    let acceptor = acceptor(&ca);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(answer(stream));
            }
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let probe = |path: &str, ca_file: String| Probe::Https { address, path: path.into(), ca_file };
    let right = file("ca.crt", &ca.pem());
    assert_eq!(check(probe("/ok", right.clone())).await, Ok(()));
    assert!(check(probe("/livez", right)).await.unwrap_err().ends_with("answers 503"));
    let wrong = check(probe("/ok", file("other.crt", &authority().pem()))).await.unwrap_err();
    assert!(wrong.contains("invalid peer certificate"), "{wrong}");
    let missing = check(probe("/ok", "/no/such/ca.crt".into())).await.unwrap_err();
    assert!(missing.contains("/no/such/ca.crt"), "{missing}");
}

/// The kernel accepts for these: nobody ever takes the connection.
#[tokio::test]
async fn a_process_that_hangs_does_not_pass_for_one_that_answers() {
    let (_listener, address) = listener().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket").to_str().unwrap().to_owned();
    let _socket = UnixListener::bind(&path).unwrap();
    for probe in [Probe::Tls { address }, Probe::Grpc { path }] {
        let error = ask(&probe, Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within 200 ms", "{probe:?}");
    }
}

#[tokio::test]
async fn tls_takes_any_answer_but_wants_one() {
    let (listener, address) = listener().await;
    let acceptor = acceptor(&authority());
    let server = tokio::spawn(async move {
        // An unknown certificate, and then a server that hangs up at once.
        assert!(acceptor.accept(listener.accept().await.unwrap().0).await.is_err());
        drop(listener.accept().await.unwrap());
    });
    assert_eq!(check(Probe::Tls { address }).await, Ok(()));
    assert_eq!(check(Probe::Tls { address }).await, Ok(()));
    server.await.unwrap();
    assert!(check(Probe::Tls { address }).await.unwrap_err().contains("refused"));
}

#[tokio::test]
async fn grpc_asks_for_the_health_and_takes_any_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket").to_str().unwrap().to_owned();
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let answer = service_fn(|request: Request<Incoming>| async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        let (stream, _) = listener.accept().await.unwrap();
        let http = http2::Builder::new(TokioExecutor::new());
        tokio::spawn(http.serve_connection(TokioIo::new(stream), answer));
        drop(listener.accept().await.unwrap());
    });
    let probe = Probe::Grpc { path };
    assert_eq!(check(probe.clone()).await, Ok(()));
    assert!(check(probe).await.is_err(), "it hung up");
    server.await.unwrap();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(ca: &CertifiedIssuer<'static, KeyPair>) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
