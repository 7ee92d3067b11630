//! Free TCP ports on loopback.

use crate::LabError;
use std::net::{Ipv4Addr, TcpListener};

/// That many ports which nobody listens on now.
///
/// All listeners are held until the last one is open, so the ports differ. Another program may still take one
/// before QEMU does; QEMU then refuses to start and says so.
///
/// # Errors
/// When no port can be had.
pub fn free_ports(count: usize) -> Result<Vec<u16>, LabError> {
    let listeners: Result<Vec<_>, _> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let ports = listeners.and_then(|open| open.iter().map(|one| Ok(one.local_addr()?.port())).collect());
    ports.map_err(LabError::file("listen on", "127.0.0.1".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_differ() {
        let mut ports = free_ports(20).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
    }
}
