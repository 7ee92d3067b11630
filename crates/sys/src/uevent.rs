//! Events of the kernel's device model, and asking for those of devices that were there before us.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use tokio::io::unix::AsyncFd;

use crate::readiness::readable;

/// A boot announces hundreds of devices within milliseconds.
const RECEIVE_BUFFER: usize = 4 << 20;
const MESSAGE_MAX: usize = 16 << 10;
const BUSES: &str = "/sys/bus";

/// What happened to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `add`, `remove`, `change`, `bind` and so on.
    pub action: String,
    /// Path below `/sys`.
    pub path: String,
    /// `block`, `net`, `virtio` and so on.
    pub subsystem: String,
    /// All properties, `MODALIAS` and `DEVNAME` for example.
    pub properties: BTreeMap<String, String>,
}

impl Event {
    fn parse(message: &[u8]) -> Option<Self> {
        let fields = message.split(|byte| *byte == 0).filter_map(|field| std::str::from_utf8(field).ok());
        let properties: BTreeMap<String, String> = fields
            .filter_map(|field| field.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Some(Self {
            action: properties.get("ACTION")?.clone(),
            path: properties.get("DEVPATH")?.clone(),
            subsystem: properties.get("SUBSYSTEM").cloned().unwrap_or_default(),
            properties,
        })
    }

    /// Which driver could serve the device.
    pub fn modalias(&self) -> Option<&str> {
        self.properties.get("MODALIAS").map(String::as_str)
    }
}

/// A socket on which the kernel tells events, for plain threads.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Starts to listen.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let fd = socket::socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        // Privileged, so the limit for everyone does not bound it; without privilege the smaller one must do.
        let _ = socket::setsockopt(&fd, socket::sockopt::RcvBufForce, &RECEIVE_BUFFER);
        socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 1))?;
        Ok(Self(fd))
    }

    /// The next event within `timeout`.
    pub fn wait(&self, timeout: Duration) -> io::Result<Option<Event>> {
        let timeout = rustix::time::Timespec::try_from(timeout).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut polled = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(None),
            Ok(_) => receive(&self.0),
            Err(e) => Err(e.into()),
        }
    }
}

/// The same for tasks.
#[derive(Debug)]
pub struct Events(AsyncFd<OwnedFd>);

impl Events {
    /// Starts to listen. It must be called within a tokio runtime.
    pub fn open() -> io::Result<Self> {
        Ok(Self(readable(Listener::open()?.0)?))
    }

    /// The next event.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            let mut guard = self.0.readable().await?;
            match receive(guard.get_inner())? {
                Some(event) => return Ok(event),
                None => guard.clear_ready(),
            }
        }
    }
}

/// `None` when there is nothing, or nothing of interest.
fn receive(fd: &OwnedFd) -> io::Result<Option<Event>> {
    let mut buffer = vec![0_u8; MESSAGE_MAX];
    match socket::recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
        Ok(length) => Ok(Event::parse(buffer.get(..length).unwrap_or_default())),
        // Lost events: whoever cares looks at sysfs, which is the truth.
        Err(nix::errno::Errno::ENOBUFS | nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Modaliases of every device that is there now: the flat lists of the buses, which is a tenth of the files below
/// `/sys/devices`.
pub fn modaliases() -> BTreeSet<String> {
    let buses = fs::read_dir(BUSES).into_iter().flatten().flatten();
    let devices =
        buses.flat_map(|bus| fs::read_dir(bus.path().join("devices")).into_iter().flatten().flatten());
    let aliases = devices.filter_map(|device| fs::read_to_string(device.path().join("modalias")).ok());
    aliases.map(|alias| alias.trim().to_owned()).filter(|alias| !alias.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_from_its_fields() {
        let message =
            b"add@/devices/pci0/virtio1/block/vda\0ACTION=add\0DEVPATH=/devices/pci0/virtio1/block/vda\0\
                        SUBSYSTEM=block\0DEVNAME=vda\0MODALIAS=virtio:d2v1AF4\0SEQNUM=7\0";
        let event = Event::parse(message).unwrap();
        assert_eq!((event.action.as_str(), event.subsystem.as_str()), ("add", "block"));
        assert_eq!(event.modalias(), Some("virtio:d2v1AF4"));
        assert_eq!(event.properties["DEVNAME"], "vda");
    }

    #[test]
    fn what_others_send_is_not_an_event() {
        assert_eq!(Event::parse(b"libudev\0\xfe\xed\xca\xfe"), None);
        assert_eq!(Event::parse(b""), None);
    }

    #[test]
    fn nothing_within_the_timeout_is_none() {
        let listener = Listener::open().unwrap();
        assert_eq!(listener.wait(Duration::ZERO).unwrap(), None);
    }
}
