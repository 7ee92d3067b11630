//! Takes connections: at most 1024 at a time, ten seconds for a handshake, HTTP/2 only.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::net::{AddressFamily, SocketType, bind as bind_socket, listen, socket, sockopt};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{debug, info, warn};

use super::{peer::Peer, pki::Identity, proxy::Proxy};

const CONNECTIONS: usize = 1024;
/// Calls on one connection. machined takes some hundred in all, and one client shall not have most of them.
const STREAMS: u32 = 128;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a refused client may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// A listening socket; `[::]` also takes IPv4, and stands for `0.0.0.0` on a kernel without IPv6.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    match bind_to(address) {
        Err(error)
            if address.ip().is_unspecified()
                && address.is_ipv6()
                && error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            bind_to(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        other => other,
    }
}

fn bind_to(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    bind_socket(&socket, &address)?;
    listen(&socket, 1024)?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Take connections until `stop`, and then let open calls finish.
pub(super) async fn accept(
    listener: std::net::TcpListener,
    identity: Arc<Identity>,
    proxy: Arc<Proxy>,
    stop: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::select! {
        () = take(listener, &slots, &identity, &proxy) => {}
        () = stop => {}
    }
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let closed = async { drop(slots.acquire_many(all).await) };
    proxy.drain().finish(closed).await;
    info!("the API is not served any more");
}

async fn take(
    listener: std::net::TcpListener,
    slots: &Arc<Semaphore>,
    identity: &Arc<Identity>,
    proxy: &Arc<Proxy>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "the listening socket cannot be used"),
    };
    info!(address = ?listener.local_addr().ok(), "the API is served");
    let mut full = false;
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or memory: what is open goes on, and some of it will end.
                warn!(%error, "cannot take a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            if !std::mem::replace(&mut full, true) {
                warn!(limit = CONNECTIONS, "too many connections: new ones are refused");
            }
            continue;
        };
        full = false;
        let (identity, proxy) = (identity.clone(), proxy.clone());
        tokio::spawn(async move {
            serve(stream, address, &identity, &proxy).await;
            drop(slot);
        });
    }
}

async fn serve(stream: TcpStream, address: SocketAddr, identity: &Identity, proxy: &Arc<Proxy>) {
    let shaken = tokio::select! {
        shaken = handshake(stream, address, identity) => shaken,
        () = proxy.drain().ending() => None,
    };
    let Some(stream) = shaken else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = Arc::new(Peer::new(address, certificate.map(AsRef::as_ref)));
    let remaining = peer.remaining;
    let calls = proxy.clone();
    let service = service_fn(move |request| {
        let (proxy, peer) = (calls.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(proxy.forward(request, &peer).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(16 << 10)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let expiry = async {
        match remaining {
            Some(remaining) => sleep(remaining).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = expiry => {
            info!(peer = %address, "the caller's certificate has expired: the connection ends");
            connection.as_mut().graceful_shutdown();
            timeout(HANDSHAKE, connection).await.unwrap_or(Ok(()))
        }
        () = proxy.drain().ending() => {
            connection.as_mut().graceful_shutdown();
            connection.await // for as long as there is any use in it: see `Drain::finish`
        }
    };
    if let Err(error) = ended {
        debug!(peer = %address, %error, "connection ended");
    }
}

async fn handshake(
    stream: TcpStream,
    address: SocketAddr,
    identity: &Identity,
) -> Option<TlsStream<TcpStream>> {
    // Calls are small, and each is waited for.
    stream.set_nodelay(true).ok()?;
    let accept = TlsAcceptor::from(identity.config()).accept(stream).into_fallible();
    match timeout(HANDSHAKE, accept).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err((error, stream))) => {
            info!(peer = %address, %error, "handshake refused");
            linger(stream).await;
            None
        }
        Err(_) => {
            info!(peer = %address, "handshake took too long");
            None
        }
    }
}

/// Read on for a moment before closing. A socket that is closed with unread data resets the connection, and the client
/// would lose the alert that says why it was refused.
async fn linger(mut stream: TcpStream) {
    let mut sink = [0; 1024];
    let drain = async {
        stream.shutdown().await?;
        while stream.read(&mut sink).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever happens here, the connection is over.
    let _ended = timeout(LINGER, drain).await;
}
