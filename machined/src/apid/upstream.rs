//! Connections to machined's socket: a few, shared by all callers, made when first needed and again after a break.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use camino::Utf8PathBuf;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::UnixStream, sync::Mutex};
use tracing::debug;

/// As many as apid has threads, so that machined reads on all of its own.
const CONNECTIONS: usize = 2;

/// The way to machined.
#[derive(Debug)]
pub(super) struct Upstream {
    socket: Utf8PathBuf,
    slots: [Slot; CONNECTIONS],
    next: AtomicUsize,
}

#[derive(Debug, Default)]
struct Slot {
    sender: ArcSwapOption<SendRequest<Incoming>>,
    /// Held while connecting, so that many callers make one connection.
    connecting: Mutex<()>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("machined does not answer")]
    Connect(#[source] io::Error),
    #[error("machined does not speak HTTP/2")]
    Handshake(#[source] hyper::Error),
    #[error("the connection to machined broke")]
    Send(#[source] hyper::Error),
}

impl Upstream {
    pub(super) fn new(socket: Utf8PathBuf) -> Self {
        Self { socket, slots: Default::default(), next: AtomicUsize::new(0) }
    }

    /// Send a request and wait for the head of the answer.
    pub(super) async fn send(&self, request: Request<Incoming>) -> Result<Response<Incoming>, UpstreamError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let slot = self.slots.get(turn).unwrap_or(&self.slots[0]);
        let mut sender = match slot.open() {
            Some(sender) => sender,
            None => self.connect(slot).await?,
        };
        sender.send_request(request).await.map_err(UpstreamError::Send)
    }

    async fn connect(&self, slot: &Slot) -> Result<SendRequest<Incoming>, UpstreamError> {
        let _turn = slot.connecting.lock().await;
        if let Some(sender) = slot.open() {
            return Ok(sender);
        }
        let stream = UnixStream::connect(self.socket.as_std_path()).await.map_err(UpstreamError::Connect)?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::Handshake)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection to machined ended");
            }
        });
        slot.sender.store(Some(Arc::new(sender.clone())));
        Ok(sender)
    }
}

impl Slot {
    fn open(&self) -> Option<SendRequest<Incoming>> {
        let sender = self.sender.load();
        sender.as_ref().filter(|sender| !sender.is_closed()).map(|sender| SendRequest::clone(sender))
    }
}
