//! Who calls, from the verified certificate: the common name, and one role for each organization.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use corten_api::peer::{encode, encode_roles};
use http::HeaderValue;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A caller, ready to be attached to each of its requests.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Value of `corten-peer-name`; absent for a caller without a certificate.
    pub(super) name: Option<HeaderValue>,
    /// Value of `corten-peer-roles`.
    pub(super) roles: Option<HeaderValue>,
    /// Value of `corten-peer-address`.
    pub(super) address: Option<HeaderValue>,
    /// How long its certificate is still valid; the connection ends with it.
    pub(super) remaining: Option<Duration>,
}

impl Peer {
    /// The caller at `address`, with the leaf of its verified chain.
    pub(super) fn new(address: SocketAddr, certificate: Option<&[u8]>) -> Self {
        let mut address = address;
        // An IPv4 caller of a dual-stack socket is shown as IPv4.
        address.set_ip(address.ip().to_canonical());
        let address = header(&address.to_string());
        let anonymous = Self { name: None, roles: None, address, remaining: None };
        let Some((_, certificate)) = certificate.and_then(|der| X509Certificate::from_der(der).ok()) else {
            return anonymous;
        };
        let subject = certificate.subject();
        let name = subject.iter_common_name().find_map(|value| value.as_str().ok()).unwrap_or_default();
        let roles: Vec<_> = subject.iter_organization().filter_map(|value| value.as_str().ok()).collect();
        let end = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(end);
        let remaining = end.duration_since(SystemTime::now()).unwrap_or_default();
        Self {
            name: header(&encode(name)),
            roles: header(&encode_roles(&roles)),
            remaining: Some(remaining),
            ..anonymous
        }
    }
}

fn header(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value).ok()
}
