//! Where a node's API is: `host`, `host:port`, `2001:db8::1`, `[2001:db8::1]:port`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use corten_constants::ports;
use rustls::pki_types::ServerName;

/// Host and port of a node's API, and the name that its certificate must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

/// A text that is no address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an address: want a host or an IP address, and perhaps :port")]
pub struct TargetError {
    text: String,
}

impl Target {
    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port of the API.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        let (ip, port) = (address.ip(), address.port());
        Self { host: ip.to_string(), port, name: ip.into() }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError { text: text.to_owned() };
        let (host, port) = split(text).ok_or_else(wrong)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
        Ok(Self { host: host.to_owned(), port, name })
    }
}

fn split(text: &str) -> Option<(&str, u16)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, ports::API));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<IpAddr>().ok()?;
        return match port.strip_prefix(':') {
            None if port.is_empty() => Some((host, ports::API)),
            None => None,
            Some(port) => Some((host, port.parse().ok()?)),
        };
    }
    match text.split_once(':') {
        None => Some((text, ports::API)),
        Some((host, port)) => Some((host, port.parse().ok()?)),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_form() {
        for (text, want) in [
            ("10.0.0.1", "10.0.0.1:50000"),
            ("10.0.0.1:7", "10.0.0.1:7"),
            ("n1.example.com", "n1.example.com:50000"),
            ("n1:1234", "n1:1234"),
            ("2001:db8::1", "[2001:db8::1]:50000"),
            ("[2001:db8::1]", "[2001:db8::1]:50000"),
            ("[2001:db8::1]:9", "[2001:db8::1]:9"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":1", "a b", "n1:port", "n1:99999", "[n1]:5", "[::1", "[::1]x", "https://n1"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
