//! One TCP connection with TLS on it. What goes wrong is named here, where the facts are; alerts that come after the
//! handshake (TLS 1.3 servers refuse a client certificate only then) are noted for the call that runs into them.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use rustls::{CertificateError, ClientConfig};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Identity, Problem, Target, tls::Seen};

/// What it takes to dial, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    pub(crate) target: Target,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) seen: Seen,
    pub(crate) deadline: Duration,
    /// Validity of our certificate; absent when we show none.
    pub(crate) validity: Option<(SystemTime, SystemTime)>,
}

impl Dialer {
    pub(crate) fn new(target: Target, tls: ClientConfig, seen: Seen, identity: Option<&Identity>) -> Self {
        let validity = identity.map(|identity| (identity.not_before, identity.not_after));
        Self { target, tls: Arc::new(tls), seen, deadline: Duration::from_secs(10), validity }
    }

    /// Connect and shake hands.
    pub(crate) async fn dial(&self) -> Result<Recorded, Problem> {
        let deadline = self.deadline;
        let late = |_| Problem::ConnectTimeout { address: self.target.to_string(), after: deadline };
        timeout(deadline, self.connect()).await.map_err(late)?
    }

    async fn connect(&self) -> Result<Recorded, Problem> {
        let stream = self.tcp().await?;
        // Calls are small, and each waits for its answer.
        stream.set_nodelay(true).map_err(|error| self.unreachable(&error))?;
        let connector = TlsConnector::from(self.tls.clone());
        match connector.connect(self.target.server_name(), stream).await {
            Ok(stream) => Ok(Recorded { stream, seen: self.seen.clone() }),
            Err(error) => Err(self.handshake(error)),
        }
    }

    async fn tcp(&self) -> Result<TcpStream, Problem> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in self.resolve().await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(self.unreachable(&last))
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, Problem> {
        let (host, port) = (self.target.host(), self.target.port());
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = tokio::net::lookup_host((host, port)).await;
        found
            .map(Iterator::collect)
            .map_err(|error| Problem::Resolve { host: host.to_owned(), cause: error.to_string() })
    }

    fn unreachable(&self, error: &io::Error) -> Problem {
        let address = self.target.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Problem::Refused { address },
            _ => Problem::Unreachable { address, cause: error.to_string() },
        }
    }

    fn handshake(&self, error: io::Error) -> Problem {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => self.explain(tls),
            None => Problem::Closed { address: self.target.to_string(), cause: error.to_string() },
        }
    }

    /// Turn what rustls says into what the operator can do something about.
    pub(crate) fn explain(&self, error: &rustls::Error) -> Problem {
        let address = self.target.to_string();
        match error {
            rustls::Error::InvalidCertificate(error) => self.certificate(error),
            rustls::Error::AlertReceived(alert) => self.alert(*alert),
            rustls::Error::InvalidMessage(_) => Problem::NotCorten { address, cause: error.to_string() },
            _ => Problem::Tls { cause: error.to_string() },
        }
    }

    fn certificate(&self, error: &CertificateError) -> Problem {
        let fingerprint = self.seen.certificate().map(|seen| seen.fingerprint);
        if self.seen.certificate().is_some_and(|seen| seen.maintenance) && self.validity.is_some() {
            return Problem::Maintenance { fingerprint };
        }
        match error {
            CertificateError::ApplicationVerificationFailure => {
                Problem::WrongFingerprint { shown: fingerprint }
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Problem::WrongCa { fingerprint }
            }
            CertificateError::ExpiredContext { time, not_after } => Problem::NodeCertificateExpired {
                ago: Duration::from_secs(time.as_secs() - not_after.as_secs()),
            },
            CertificateError::NotValidYetContext { time, not_before } => Problem::ClockSkew {
                behind: Some(Duration::from_secs(not_before.as_secs() - time.as_secs())),
            },
            CertificateError::NotValidForNameContext { presented, .. } => {
                Problem::WrongName { name: self.target.host().to_owned(), names: presented.clone() }
            }
            other => Problem::Tls { cause: other.to_string() },
        }
    }

    fn alert(&self, alert: rustls::AlertDescription) -> Problem {
        use rustls::AlertDescription as Alert;
        match (alert, self.validity) {
            (Alert::CertificateRequired, _) | (_, None) => Problem::CertificateRequired,
            (Alert::CertificateExpired, Some((not_before, not_after))) => {
                let now = SystemTime::now();
                match now.duration_since(not_after) {
                    Ok(ago) => Problem::ClientCertificateExpired { ago },
                    Err(_) => Problem::ClockSkew { behind: not_before.duration_since(now).ok() },
                }
            }
            (Alert::UnknownCA | Alert::DecryptError | Alert::BadCertificate, _) => Problem::ClientNotTrusted,
            (other, _) => Problem::Tls { cause: format!("the node sent the alert {other:?}") },
        }
    }
}

/// A TLS stream that notes the TLS error it ends with: the layers above keep only its text.
#[derive(Debug)]
pub(crate) struct Recorded {
    stream: TlsStream<TcpStream>,
    seen: Seen,
}

impl Recorded {
    fn note<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &poll
            && let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            self.seen.note_error(tls.clone());
        }
        poll
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note(poll)
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, data);
        self.note(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
