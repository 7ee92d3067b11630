//! An `https` URL without a path: where the Kubernetes API is reached.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::formats;

/// `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// Port of `https` when the URL names none.
const HTTPS_PORT: u16 = 443;

impl Endpoint {
    /// DNS name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port, 443 when the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("https://").ok_or("it does not start with https://")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = formats::split_host_port(rest)?;
        Ok(Self { host: host.to_owned(), port: port.unwrap_or(HTTPS_PORT) })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "https://[{}]:{}", self.host, self.port),
            false => write!(f, "https://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_told_apart() {
        for (text, host, port) in [
            ("https://192.0.2.1:6443", "192.0.2.1", 6443),
            ("https://kube.example.com", "kube.example.com", 443),
            ("https://[2001:db8::1]:6443/", "2001:db8::1", 6443),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host(), endpoint.port()), (host, port), "{text}");
            assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
        }
    }
}
