//! Links, addresses and routes of the kernel, over rtnetlink.
//!
//! A thin, typed face: each call is one request to the kernel, and nothing is remembered between calls. What should
//! be there is decided by the controllers. Routes and addresses that we made carry [`OWNER_PROTOCOL`], so that they
//! can be told from those of a CNI, of the operator's own programs or of the kernel.

mod address;
mod events;
mod link;
mod route;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use tokio::sync::Mutex;

pub use address::{Address, AddressScope};
pub use events::{Change, Changes};
pub use link::{Layer, Link, LinkChange};
pub use route::{Route, RouteKind};

/// Marks what we made: `RTA_PROTOCOL` of a route and `IFA_PROTO` of an address. Not in use by any program listed in
/// iproute2's `rt_protos`.
pub const OWNER_PROTOCOL: u8 = 67;

/// An IP prefix. The address may have host bits set, as in the address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address.
    pub address: std::net::IpAddr,
    /// Number of leading bits that name the network.
    pub length: u8,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be opened.
    #[error("open a netlink socket")]
    Open {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("{action}")]
    Request {
        /// What was asked for.
        action: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl NetlinkError {
    fn request(action: impl Into<String>, error: rtnetlink::Error) -> Self {
        let source = match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        };
        Self::Request { action: action.into(), source }
    }

    /// The kernel's error number, when it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Open { source } | Self::Request { source, .. } => source.raw_os_error(),
        }
    }

    /// Whether the kernel said that the thing is not there: its goal is reached when we wanted to remove it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(
            self.errno(),
            Some(libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENOENT | libc::ENXIO)
        )
    }

    /// Whether the kernel said that the thing is there already.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }
}

/// A connection to the kernel. Clones share it.
#[derive(Clone)]
pub struct Netlink {
    handle: rtnetlink::Handle,
    /// The kernel gives one list at a time on a socket, and answers EBUSY to a second wish.
    dumps: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}

impl Netlink {
    /// Connects. Must be called inside a tokio runtime: a task of it serves the socket until the last clone is gone.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn connect() -> Result<Self, NetlinkError> {
        let (connection, handle, _unsolicited) =
            rtnetlink::new_connection().map_err(|source| NetlinkError::Open { source })?;
        tokio::spawn(connection);
        Ok(Self { handle, dumps: Arc::default() })
    }
}
