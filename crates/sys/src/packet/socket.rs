//! Sockets of a DHCP client.
//!
//! [`DhcpSocket`] is a packet socket with a kernel filter, so that it costs nothing while other traffic passes.
//! [`Unicast`] renews a lease with its server. The answers arrive at the packet socket in both cases.

#![expect(
    unsafe_code,
    reason = "neither nix nor rustix can bind a packet socket to a link or attach a filter"
)]

use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

#[expect(clippy::cast_possible_truncation, reason = "the constant is 17, and its field has 16 bits")]
const FAMILY: u16 = libc::AF_PACKET as u16;
#[expect(clippy::cast_possible_truncation, reason = "an EtherType has 16 bits")]
const PROTOCOL: u16 = libc::ETH_P_IP as u16;
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// Longest packet that we read; DHCP messages of up to 1500 bytes are asked for.
const BUFFER: usize = 2048;

/// Sends and receives DHCP messages on one link, with or without an address there.
#[derive(Debug)]
pub struct DhcpSocket {
    socket: AsyncFd<OwnedFd>,
    link: i32,
}

impl DhcpSocket {
    /// Opens it on the link with this index. Must be called inside a tokio runtime. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// When the link is gone, or the right to open packet sockets is missing.
    pub fn open(link: u32) -> io::Result<Self> {
        let link = i32::try_from(link).map_err(io::Error::other)?;
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: socket() takes plain numbers. Protocol 0: nothing is received before bind(), so nothing unfiltered.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and open, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        attach_filter(&socket)?;
        bind(&socket, link)?;
        // SAFETY: an OwnedFd keeps its descriptor open and the same for as long as it lives, which is what is asked for.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { socket, link })
    }

    /// Broadcasts a message to the DHCP servers of the link.
    ///
    /// # Errors
    /// When the link is down or gone.
    pub async fn broadcast(&self, message: &[u8]) -> io::Result<()> {
        let source = Ipv4Addr::UNSPECIFIED.octets();
        let packet = etherparse::PacketBuilder::ipv4(source, Ipv4Addr::BROADCAST.octets(), 64);
        let packet = packet.udp(CLIENT_PORT, SERVER_PORT);
        let mut bytes = Vec::with_capacity(packet.size(message.len()));
        packet.write(&mut bytes, message).map_err(io::Error::other)?;
        let mut to = address(self.link);
        to.sll_halen = 6;
        to.sll_addr[..6].fill(0xff);
        self.socket.async_io(Interest::WRITABLE, |socket| send(socket, &bytes, &to)).await
    }

    /// The next UDP payload that arrives at the client's port.
    ///
    /// # Errors
    /// When the link goes down or away.
    pub async fn receive(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut buffer = vec![0_u8; BUFFER];
            let length =
                self.socket.async_io(Interest::READABLE, |socket| receive(socket, &mut buffer)).await?;
            buffer.truncate(length);
            // The length of the slice is the packet's; trailing bytes of short Ethernet frames are cut by it.
            let Ok(packet) = etherparse::SlicedPacket::from_ip(&buffer) else { continue };
            if let Some(etherparse::TransportSlice::Udp(udp)) = packet.transport
                && udp.destination_port() == CLIENT_PORT
            {
                return Ok(udp.payload().to_vec());
            }
        }
    }
}

/// Sends messages from the leased address to the server that leased it. While it is open, the kernel does not answer the
/// server with "port unreachable".
#[derive(Debug)]
pub struct Unicast {
    socket: UdpSocket,
    server: Ipv4Addr,
}

impl Unicast {
    /// Opens it.
    ///
    /// # Errors
    /// When the address is not on this machine.
    pub fn open(from: Ipv4Addr, server: Ipv4Addr) -> io::Result<Self> {
        let socket = UdpSocket::bind((from, CLIENT_PORT))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, server })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When there is no route to the server.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        self.socket.send_to(message, (self.server, SERVER_PORT)).map(|_| ())
    }
}

/// IPv4, not a fragment, UDP, to the client's port. Offsets count from the IP header, because a `SOCK_DGRAM` packet
/// socket starts there.
fn filter() -> [libc::sock_filter; 9] {
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
    const HEADER_LENGTH: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH
    const LOAD_HALF_X: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
    const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const IF_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    [
        (LOAD_BYTE, 0, 0, 9),
        (IF_EQUAL, 0, 6, 17), // protocol UDP
        (LOAD_HALF, 0, 0, 6),
        (IF_SET, 4, 0, 0x1fff), // a later fragment has no ports
        (HEADER_LENGTH, 0, 0, 0),
        (LOAD_HALF_X, 0, 0, 2),
        (IF_EQUAL, 0, 1, u32::from(CLIENT_PORT)),
        (RETURN, 0, 0, 0xffff),
        (RETURN, 0, 0, 0),
    ]
    .map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
}

fn attach_filter(socket: &OwnedFd) -> io::Result<()> {
    let mut instructions = filter();
    let length = u16::try_from(instructions.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_mut_ptr() };
    // SAFETY: the option takes a sock_fprog; it and the instructions that it points to live until the call returns, and
    // the kernel copies and checks them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            socklen(size_of::<libc::sock_fprog>())?,
        )
    };
    check(result.into()).map(|_| ())
}

fn bind(socket: &OwnedFd, link: i32) -> io::Result<()> {
    let address = address(link);
    let length = socklen(size_of::<libc::sockaddr_ll>())?;
    // SAFETY: the address is a whole sockaddr_ll, its true length is given, and it lives until the call returns.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    check(result.into()).map(|_| ())
}

fn send(socket: &OwnedFd, bytes: &[u8], to: &libc::sockaddr_ll) -> io::Result<()> {
    let length = socklen(size_of::<libc::sockaddr_ll>())?;
    let to: *const libc::sockaddr_ll = to;
    // SAFETY: pointer and length are those of a live slice and of a live sockaddr_ll.
    let sent =
        unsafe { libc::sendto(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0, to.cast(), length) };
    check(sent as i64).map(|_| ())
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of a live slice that nobody else uses during the call.
    let received = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(check(received as i64)?).map_err(io::Error::other)
}

fn address(link: i32) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: FAMILY,
        sll_protocol: PROTOCOL.to_be(),
        sll_ifindex: link,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

fn check(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn socklen(length: usize) -> io::Result<libc::socklen_t> {
    libc::socklen_t::try_from(length).map_err(io::Error::other)
}
