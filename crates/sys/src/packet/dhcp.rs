//! DHCPv4 messages, as far as a client sends and reads them.
//!
//! What a server sends is untrusted: names that are not host names are dropped here, so that they cannot put lines of
//! their own into the files that we render.

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use std::net::Ipv4Addr;

/// What the client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Which servers are there?
    Discover,
    /// May I have, or keep, this address?
    Request,
    /// Somebody else uses this address.
    Decline,
}

/// A message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpRequest {
    /// What is asked.
    pub kind: RequestKind,
    /// Number of the exchange, repeated by the answers.
    pub transaction: u32,
    /// Hardware address of the link.
    pub mac: [u8; 6],
    /// Seconds since the exchange began.
    pub seconds: u16,
    /// The address that the client has already, when it renews.
    pub current: Option<Ipv4Addr>,
    /// The address that it would like.
    pub requested: Option<Ipv4Addr>,
    /// The server whose offer it takes.
    pub server: Option<Ipv4Addr>,
    /// Its name, for the server's DNS.
    pub hostname: Option<String>,
}

/// Kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// An address to choose.
    Offer,
    /// It is yours.
    Ack,
    /// It is not, begin again.
    Nak,
}

/// An answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpReply {
    /// Which answer.
    pub kind: ReplyKind,
    /// Number of the exchange.
    pub transaction: u32,
    /// Hardware address that it is meant for.
    pub mac: [u8; 6],
    /// The leased address.
    pub address: Ipv4Addr,
    /// Length of its network, 0 to 32; from the class of old when the server does not say.
    pub prefix_length: u8,
    /// The server.
    pub server: Option<Ipv4Addr>,
    /// Routers, the best first. To be ignored when there are `routes` (RFC 3442).
    pub routers: Vec<Ipv4Addr>,
    /// Destination, length, gateway (unspecified: on the link).
    pub routes: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    /// DNS servers.
    pub nameservers: Vec<Ipv4Addr>,
    /// DNS search domains, the server's own domain first.
    pub search: Vec<String>,
    /// NTP servers.
    pub time_servers: Vec<Ipv4Addr>,
    /// The name that the server gives us.
    pub hostname: Option<String>,
    /// MTU of the link in bytes.
    pub mtu: Option<u16>,
    /// Lifetime of the lease in seconds; `u32::MAX` is forever.
    pub lease_seconds: u32,
    /// When to renew, in seconds.
    pub renew_seconds: Option<u32>,
    /// When to ask any server, in seconds.
    pub rebind_seconds: Option<u32>,
}

impl DhcpRequest {
    /// The bytes to send.
    ///
    /// # Errors
    /// When a name is too long for its field.
    pub fn encode(&self) -> Result<Vec<u8>, dhcproto::error::EncodeError> {
        let mut message = Message::default();
        message.set_xid(self.transaction).set_chaddr(&self.mac).set_secs(self.seconds);
        match self.current {
            Some(address) => message.set_ciaddr(address),
            // Without an address we cannot be reached by ARP, and some servers honour only this flag.
            None => message.set_flags(Flags::default().set_broadcast()),
        };
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(match self.kind {
            RequestKind::Discover => MessageType::Discover,
            RequestKind::Request => MessageType::Request,
            RequestKind::Decline => MessageType::Decline,
        }));
        // Type 1, Ethernet, then the address: what servers expect, and the same after a new installation.
        let identifier = [&[1_u8], self.mac.as_slice()].concat();
        options.insert(DhcpOption::ClientIdentifier(identifier));
        if let Some(address) = self.requested {
            options.insert(DhcpOption::RequestedIpAddress(address));
        }
        if let Some(server) = self.server {
            options.insert(DhcpOption::ServerIdentifier(server));
        }
        if self.kind != RequestKind::Decline {
            options.insert(DhcpOption::MaxMessageSize(1500));
            options.insert(DhcpOption::ParameterRequestList(WANTED.to_vec()));
            if let Some(name) = &self.hostname {
                options.insert(DhcpOption::Hostname(name.clone()));
            }
        }
        let mut bytes = Vec::with_capacity(512);
        message.encode(&mut Encoder::new(&mut bytes))?;
        // BOOTP relays drop messages that are shorter than the old fixed size.
        bytes.resize(bytes.len().max(300), 0);
        Ok(bytes)
    }
}

const WANTED: [OptionCode; 11] = [
    OptionCode::SubnetMask,
    OptionCode::ClasslessStaticRoute,
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::DomainName,
    OptionCode::DomainSearch,
    OptionCode::Hostname,
    OptionCode::InterfaceMtu,
    OptionCode::NtpServers,
    OptionCode::Renewal,
    OptionCode::Rebinding,
];

impl DhcpReply {
    /// Reads an answer; none when the bytes are not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let message = Message::decode(&mut Decoder::new(bytes)).ok()?;
        let kind = match message.opts().msg_type()? {
            MessageType::Offer => ReplyKind::Offer,
            MessageType::Ack => ReplyKind::Ack,
            MessageType::Nak => ReplyKind::Nak,
            _ => return None,
        };
        let mut reply = Self {
            kind,
            transaction: message.xid(),
            mac: message.chaddr().get(..6)?.try_into().ok()?,
            address: message.yiaddr(),
            prefix_length: classful_length(message.yiaddr()),
            server: None,
            routers: Vec::new(),
            routes: Vec::new(),
            nameservers: Vec::new(),
            search: Vec::new(),
            time_servers: Vec::new(),
            hostname: None,
            mtu: None,
            lease_seconds: 3600,
            renew_seconds: None,
            rebind_seconds: None,
        };
        let mut domain = None;
        for (_, option) in message.opts().iter() {
            reply.read(option, &mut domain);
        }
        if let Some(domain) = domain.filter(|domain| !reply.search.contains(domain)) {
            reply.search.insert(0, domain);
        }
        Some(reply)
    }

    fn read(&mut self, option: &DhcpOption, domain: &mut Option<String>) {
        match option {
            DhcpOption::SubnetMask(mask) => {
                if let Some(length) = mask_length(*mask) {
                    self.prefix_length = length;
                }
            }
            DhcpOption::ServerIdentifier(server) => self.server = Some(*server),
            DhcpOption::Router(routers) => self.routers.clone_from(routers),
            DhcpOption::ClasslessStaticRoute(routes) => {
                self.routes =
                    routes.iter().map(|(net, via)| (net.network(), net.prefix_len(), *via)).collect();
            }
            DhcpOption::DomainNameServer(servers) => self.nameservers.clone_from(servers),
            DhcpOption::DomainName(name) => *domain = host_name(name),
            DhcpOption::DomainSearch(names) => {
                self.search = names.iter().filter_map(|name| host_name(&name.to_string())).collect();
            }
            DhcpOption::NtpServers(servers) => self.time_servers.clone_from(servers),
            DhcpOption::Hostname(name) => self.hostname = host_name(name),
            DhcpOption::InterfaceMtu(mtu) => self.mtu = Some(*mtu),
            DhcpOption::AddressLeaseTime(seconds) => self.lease_seconds = *seconds,
            DhcpOption::Renewal(seconds) => self.renew_seconds = Some(*seconds),
            DhcpOption::Rebinding(seconds) => self.rebind_seconds = Some(*seconds),
            _ => {}
        }
    }
}

/// The name in small letters without a dot at its end, when it is one by RFC 1123.
fn host_name(text: &str) -> Option<String> {
    let name = text.trim_end_matches(['.', '\0']).to_ascii_lowercase();
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}

fn mask_length(mask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(mask);
    let length = bits.leading_ones();
    (length + bits.trailing_zeros() >= 32).then(|| u8::try_from(length).ok()).flatten()
}

fn classful_length(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}
