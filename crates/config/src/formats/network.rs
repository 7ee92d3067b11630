//! Forms of addresses and names.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::Refusal;
use crate::types::endpoint::Endpoint;

/// Longest label of a DNS name, and longest host name that Linux takes.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;
/// `IFNAMSIZ` without the final zero.
const LINK_NAME_MAX: usize = 15;

pub(super) fn ip(text: &str) -> Result<(), Refusal> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let refusal = Refusal::because("it is not an IP address");
    match text.split_once('/') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => Err(refusal.suggest(address)),
        _ => Err(refusal),
    }
}

pub(super) fn cidr(text: &str) -> Result<(), Refusal> {
    match text.parse::<IpNet>() {
        Ok(net) if net.addr() == net.network() => Ok(()),
        Ok(net) => {
            Err(Refusal::because("the address has bits set beyond the prefix")
                .suggest(net.trunc().to_string()))
        }
        Err(_) => Err(not_a_range(text)),
    }
}

pub(super) fn address(text: &str) -> Result<(), Refusal> {
    text.parse::<IpNet>().map(drop).map_err(|_| not_a_range(text))
}

fn not_a_range(text: &str) -> Refusal {
    match (text, text.parse::<IpAddr>()) {
        (_, Ok(IpAddr::V4(_))) => {
            Refusal::because("the length of the prefix is missing").suggest(format!("{text}/24"))
        }
        (_, Ok(IpAddr::V6(_))) => {
            Refusal::because("the length of the prefix is missing").suggest(format!("{text}/64"))
        }
        ("default", _) => Refusal::because("the default route is a range, too").suggest("0.0.0.0/0"),
        _ => Refusal::because("it is not an address and a prefix length"),
    }
}

pub(super) fn domain(text: &str) -> Result<(), Refusal> {
    if text.len() > NAME_MAX {
        return Err(Refusal::because(format!("it has {} characters", text.len())));
    }
    text.split('.').try_for_each(label).map_err(|refusal| lower(text, refusal))
}

pub(super) fn hostname(text: &str) -> Result<(), Refusal> {
    if text.len() > LABEL_MAX {
        return Err(Refusal::because(format!("it has {} characters", text.len())));
    }
    domain(text)
}

pub(super) fn host(text: &str) -> Result<(), Refusal> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    // A name of digits and dots alone is a mistyped address.
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(Refusal::because("it looks like an IP address and is none"));
    }
    match text.split_once("://") {
        Some((_, host)) if domain(host).is_ok() => Err(Refusal::because("it is a URL").suggest(host)),
        _ => domain(text),
    }
}

/// A label of a DNS name (RFC 1123).
fn label(label: &str) -> Result<(), Refusal> {
    if label.is_empty() {
        return Err(Refusal::because("a part of the name is empty"));
    }
    if label.len() > LABEL_MAX {
        return Err(Refusal::because(format!("a part of the name has {} characters", label.len())));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(Refusal::because("a part of the name starts or ends with -"));
    }
    match label.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
        Some(odd) => Err(Refusal::because(format!("the character {odd:?} is not allowed"))),
        None => Ok(()),
    }
}

/// Suggests the name in lower case, and with `-` for `_`, when that is all that is wrong.
fn lower(text: &str, refusal: Refusal) -> Refusal {
    let better = text.to_ascii_lowercase().replace('_', "-");
    match better != text && better.split('.').all(|part| label(part).is_ok()) {
        true => refusal.suggest(better),
        false => refusal,
    }
}

pub(super) fn link_name(text: &str) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > LINK_NAME_MAX {
        return Err(Refusal::because(format!("it has {} characters", text.len())));
    }
    if text == "." || text == ".." || text.chars().any(|c| c == '/' || c == ':' || !c.is_ascii_graphic()) {
        return Err(Refusal::because("the kernel takes no such name"));
    }
    Ok(())
}

pub(super) fn mac(text: &str) -> Result<(), Refusal> {
    let good = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        let part = |part: &&str| part.len() == 2 && part.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        parts.len() == 6 && parts.iter().all(part)
    };
    if good(text) {
        return Ok(());
    }
    let refusal = Refusal::because("it is not six pairs of lower-case hex digits");
    let better = text.to_ascii_lowercase().replace('-', ":");
    Err(if good(&better) { refusal.suggest(better) } else { refusal })
}

pub(super) fn registry(text: &str) -> Result<(), Refusal> {
    if text == "*" {
        return Ok(());
    }
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = rest.split('/').next().unwrap_or(rest);
    if bare != text {
        return Err(Refusal::because("it is more than a host and a port").suggest(bare));
    }
    split_host_port(text).map(drop).map_err(Refusal::from)
}

pub(super) fn https_url(text: &str) -> Result<(), Refusal> {
    let Err(reason) = text.parse::<Endpoint>() else { return Ok(()) };
    let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    let bare = bare.split('/').next().unwrap_or(bare);
    let better = match split_host_port(bare) {
        Ok((_, Some(_))) => format!("https://{bare}"),
        Ok((_, None)) => format!("https://{bare}:{}", corten_constants::ports::KUBE_APISERVER),
        Err(_) => return Err(reason.into()),
    };
    Err(Refusal::because(reason).suggest(better))
}

pub(super) fn http_url(text: &str) -> Result<(), Refusal> {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        let refusal = Refusal::because("it does not start with http:// or https://");
        let host = text.split('/').next().unwrap_or(text);
        return Err(match split_host_port(host) {
            Ok(_) => refusal.suggest(format!("https://{text}")),
            Err(_) => refusal,
        });
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains(['?', '#']) || !path.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Refusal::because("a mirror's URL has no query, fragment or white space"));
    }
    split_host_port(authority).map(drop).map_err(Refusal::from)
}

/// Splits `HOST`, `HOST:PORT`, `[IPV6]` and `[IPV6]:PORT`.
pub(crate) fn split_host_port(text: &str) -> Result<(&str, Option<u16>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        address.parse::<Ipv6Addr>().map_err(|_| format!("{address} is not an IPv6 address"))?;
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((address, Some(port(digits)?))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err("something other than a port follows the bracket".to_owned()),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err("an IPv6 address stands in brackets here".to_owned());
    }
    let (name, port) = match text.split_once(':') {
        Some((name, digits)) => (name, Some(port(digits)?)),
        None => (text, None),
    };
    host(name).map_err(|refusal| format!("in the host {name:?}, {}", refusal.reason))?;
    Ok((name, port))
}

fn port(digits: &str) -> Result<u16, String> {
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && digits.chars().all(|c| c.is_ascii_digit()) => Ok(port),
        _ => Err(format!("{digits:?} is not a port (1 to 65535)")),
    }
}
