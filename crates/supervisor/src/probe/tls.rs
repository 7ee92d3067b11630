//! TLS for probes: the server's certificate must come from one CA, given as a file, and name its IP address; or the server
//! need only answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ProbeError;

/// A client without certificate that trusts the CAs in the file. Read each time, since a CA may be replaced.
pub(super) async fn client_config(ca_file: &str) -> Result<Arc<ClientConfig>, ProbeError> {
    let failed = |source| ProbeError::Ca { path: ca_file.to_owned(), source };
    let pem = tokio::fs::read(ca_file).await.map_err(failed)?;
    config_for(&pem).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn config_for(pem: &[u8]) -> Result<Arc<ClientConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Begins a session, and takes any answer: a certificate that nobody knows here, an alert, or the end of the connection, as
/// of a server that has too many. Only a process that runs gives one.
pub(super) async fn greet(stream: TcpStream, address: SocketAddr) -> Result<(), ProbeError> {
    let config = config_for(&[]);
    let config = config.map_err(|error| ProbeError::Tls { address, source: io::Error::other(error) })?;
    let _answer = handshake(config, stream, address).await;
    Ok(())
}

pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<TlsStream<TcpStream>, ProbeError> {
    let name = ServerName::IpAddress(address.ip().into());
    let stream = TlsConnector::from(config).connect(name, stream).await;
    stream.map_err(|source| ProbeError::Tls { address, source })
}
