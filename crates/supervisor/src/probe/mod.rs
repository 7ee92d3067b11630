//! Questions to a running service: does it accept, does it answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use corten_resources::runtime::Probe;
use http_body_util::{Empty, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HeaderValue, TE};
use hyper::{Method, Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

mod tls;

/// An empty message, as gRPC frames it: not compressed, no bytes.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// Why a service did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection.
    #[error("connect to {target}: {source}")]
    Connect {
        /// Address or path.
        target: String,
        /// The cause.
        source: io::Error,
    },
    /// The path is not there.
    #[error("{path} does not exist")]
    NoPath {
        /// The path.
        path: String,
    },
    /// The CA file cannot be used.
    #[error("use the CA in {path}: {source}")]
    Ca {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// No TLS session.
    #[error("TLS with {address}: {source}")]
    Tls {
        /// The server.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The server broke off.
    #[error("GET {path} from {address}: {source}")]
    Http {
        /// The server.
        address: SocketAddr,
        /// Path and query.
        path: String,
        /// The cause.
        source: hyper::Error,
    },
    /// The gRPC server broke off.
    #[error("ask {path} for its health: {source}")]
    Grpc {
        /// The socket.
        path: String,
        /// The cause.
        source: hyper::Error,
    },
    /// The path cannot be asked for.
    #[error("{path:?} is not a path")]
    BadPath {
        /// Path and query.
        path: String,
    },
    /// Another answer than 2xx.
    #[error("GET {path} from {address} answers {status}")]
    Status {
        /// The server.
        address: SocketAddr,
        /// Path and query.
        path: String,
        /// The status code.
        status: u16,
    },
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// Asks once.
pub async fn ask(probe: &Probe, timeout: Duration) -> Result<(), ProbeError> {
    let answer = tokio::time::timeout(timeout, ask_forever(probe)).await;
    answer.unwrap_or(Err(ProbeError::Timeout(timeout)))
}

async fn ask_forever(probe: &Probe) -> Result<(), ProbeError> {
    match probe {
        Probe::Tcp { address } => connect(*address).await.map(drop),
        Probe::Unix { path } => connect_unix(path).await.map(drop),
        Probe::Path { path } => match tokio::fs::try_exists(path).await {
            Ok(true) => Ok(()),
            _ => Err(ProbeError::NoPath { path: path.clone() }),
        },
        Probe::Http { address, path } => get(connect(*address).await?, *address, path).await,
        Probe::Https { address, path, ca_file } => {
            let config = tls::client_config(ca_file).await?;
            let stream = tls::handshake(config, connect(*address).await?, *address).await?;
            get(stream, *address, path).await
        }
        Probe::Tls { address } => tls::greet(connect(*address).await?, *address).await,
        Probe::Grpc { path } => grpc(connect_unix(path).await?, path).await,
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, ProbeError> {
    let stream = TcpStream::connect(address).await;
    stream.map_err(|source| ProbeError::Connect { target: address.to_string(), source })
}

async fn connect_unix(path: &str) -> Result<UnixStream, ProbeError> {
    let stream = UnixStream::connect(path).await;
    stream.map_err(|source| ProbeError::Connect { target: path.to_owned(), source })
}

/// Whatever the answer says, it came from the process and not from the kernel.
/// <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>
async fn grpc(stream: UnixStream, path: &str) -> Result<(), ProbeError> {
    let failed = |source| ProbeError::Grpc { path: path.to_owned(), source };
    let mut request = Request::new(Full::new(Bytes::from_static(EMPTY_MESSAGE)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("http://localhost/grpc.health.v1.Health/Check");
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    let mut response = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response,
        _ = connection => response.await,
    };
    response.map(drop).map_err(failed)
}

async fn get<S>(stream: S, address: SocketAddr, path: &str) -> Result<(), ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |source| ProbeError::Http { address, path: path.to_owned(), source };
    let request = Request::get(path).header("host", address.to_string()).header("user-agent", "corten");
    let request =
        request.body(Empty::<Bytes>::new()).map_err(|_| ProbeError::BadPath { path: path.to_owned() })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut response = std::pin::pin!(sender.send_request(request));
    // The connection has to be driven for the answer to come; a server may close it right behind the answer.
    let response = tokio::select! {
        response = &mut response => response,
        _ = connection => response.await,
    };
    let response = response.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    Err(ProbeError::Status { address, path: path.to_owned(), status: status.as_u16() })
}
