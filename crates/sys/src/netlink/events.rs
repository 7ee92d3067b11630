//! Tells that something changed, not what: whoever is woken reads the present state, so a lost message loses nothing.

use super::{Netlink, NetlinkError};
use futures::StreamExt;
use futures::stream::BoxStream;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A link came, went, or changed.
    Links,
    /// An address came, went, or changed.
    Addresses,
    /// A route came or went.
    Routes,
    /// Messages were lost: anything may have changed.
    Everything,
}

/// A stream of changes.
pub struct Changes {
    stream: BoxStream<'static, Change>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

impl Changes {
    /// The next change; none when the socket is gone.
    pub async fn next(&mut self) -> Option<Change> {
        self.stream.next().await
    }
}

impl Netlink {
    /// Subscribes to changes of links, addresses and routes, over a socket of its own.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn subscribe() -> Result<Changes, NetlinkError> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
        ];
        let (connection, handle, messages) =
            rtnetlink::new_multicast_connection(&groups).map_err(|source| NetlinkError::Open { source })?;
        tokio::spawn(connection);
        let stream = messages
            .map(move |(message, _)| {
                // The connection ends when its last handle is dropped: the stream keeps one.
                let _keep = &handle;
                change(&message.payload)
            })
            .boxed();
        Ok(Changes { stream })
    }
}

fn change(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Change {
    let NetlinkPayload::InnerMessage(message) = payload else {
        return Change::Everything;
    };
    match message {
        RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_) => Change::Links,
        RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_) => Change::Addresses,
        RouteNetlinkMessage::NewRoute(_) | RouteNetlinkMessage::DelRoute(_) => Change::Routes,
        _ => Change::Everything,
    }
}
