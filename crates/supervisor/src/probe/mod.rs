//! Questions to a running service: does it accept, does it answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use corten_resources::runtime::Probe;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

mod tls;

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
        Probe::Unix { path } => match UnixStream::connect(path).await {
            Ok(_) => Ok(()),
            Err(source) => Err(ProbeError::Connect { target: path.clone(), source }),
        },
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
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, ProbeError> {
    let stream = TcpStream::connect(address).await;
    stream.map_err(|source| ProbeError::Connect { target: address.to_string(), source })
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
