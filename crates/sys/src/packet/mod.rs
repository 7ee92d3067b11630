//! DHCPv4 below the IP stack: a client has no address yet, so it must speak in raw packets.

mod dhcp;
mod socket;
#[cfg(test)]
mod tests;

pub use dhcp::{DhcpReply, DhcpRequest, ReplyKind, RequestKind};
pub use socket::{DhcpSocket, Unicast};
