//! A DNS client of one page: A records over UDP from the servers in `/etc/resolv.conf`.
//!
//! A static glibc program must not call getaddrinfo, and a test of cluster DNS wants to see the search list at
//! work, so the pod's own resolv.conf is honoured: `nameserver`, `search`, `options ndots:N`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const TRIES: usize = 3;
const WAIT: Duration = Duration::from_secs(4);

/// The part of resolv.conf that matters here.
#[derive(Debug, PartialEq, Eq)]
struct Resolver {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

/// IPv4 addresses of a name.
pub(crate) fn resolve(name: &str) -> Result<Vec<Ipv4Addr>, Box<dyn std::error::Error>> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let resolver = parse(&std::fs::read_to_string("/etc/resolv.conf")?);
    for candidate in candidates(name, &resolver) {
        let found = ask(&candidate, &resolver)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(format!("no address for {name}, asked {:?}", resolver.servers).into())
}

fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver { servers: Vec::new(), search: Vec::new(), ndots: 1 };
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["nameserver", address] => resolver.servers.extend(address.parse::<IpAddr>().ok()),
            ["search", domains @ ..] => resolver.search = domains.iter().map(ToString::to_string).collect(),
            ["options", options @ ..] => {
                let ndots = options.iter().find_map(|option| option.strip_prefix("ndots:")?.parse().ok());
                resolver.ndots = ndots.unwrap_or(resolver.ndots);
            }
            _ => {}
        }
    }
    resolver
}

/// Names to ask for, in order.
fn candidates(name: &str, resolver: &Resolver) -> Vec<String> {
    if let Some(absolute) = name.strip_suffix('.') {
        return vec![absolute.to_owned()];
    }
    let mut names: Vec<String> = resolver.search.iter().map(|domain| format!("{name}.{domain}")).collect();
    let enough_dots = name.matches('.').count() >= resolver.ndots;
    names.insert(if enough_dots { 0 } else { names.len() }, name.to_owned());
    names
}

fn ask(name: &str, resolver: &Resolver) -> Result<Vec<Ipv4Addr>, Box<dyn std::error::Error>> {
    let query = query(name)?;
    let mut last = "resolv.conf names no server".to_owned();
    for server in resolver.servers.iter().cycle().take(TRIES * resolver.servers.len()) {
        let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.set_read_timeout(Some(WAIT))?;
        socket.connect(SocketAddr::new(*server, 53))?;
        socket.send(&query)?;
        let mut answer = [0; 1500];
        match socket.recv(&mut answer) {
            Ok(length) => return Ok(addresses(&answer[..length]).unwrap_or_default()),
            Err(error) => last = format!("{server}: {error}"),
        }
    }
    Err(format!("{name}: {last}").into())
}

/// A recursive question for A records. The id is fixed: the socket is connected and used once.
fn query(name: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut message = vec![0x43, 0x54, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        message.push(length.ok_or_else(|| format!("{name} is not a domain name"))?);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    Ok(message)
}

/// The A records of an answer; `None` when it cannot be parsed.
fn addresses(answer: &[u8]) -> Option<Vec<Ipv4Addr>> {
    let records = u16::from_be_bytes([*answer.get(6)?, *answer.get(7)?]);
    let mut at = skip_name(answer, 12)? + 4;
    let mut found = Vec::new();
    for _ in 0..records {
        at = skip_name(answer, at)?;
        let header = answer.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([header[8], header[9]]));
        let data = answer.get(at + 10..at + 10 + length)?;
        if let (1, [a, b, c, d]) = (u16::from_be_bytes([header[0], header[1]]), data) {
            found.push(Ipv4Addr::new(*a, *b, *c, *d));
        }
        at += 10 + length;
    }
    Some(found)
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "search default.svc.cluster.local svc.cluster.local cluster.local\n\
                       nameserver 10.96.0.10\noptions ndots:5\n";

    #[test]
    fn a_short_name_goes_through_the_search_list_first() {
        let resolver = parse(POD);
        assert_eq!(resolver.ndots, 5);
        let names = candidates("web", &resolver);
        assert_eq!(names.first().unwrap(), "web.default.svc.cluster.local");
        assert_eq!(names.last().unwrap(), "web");
        assert_eq!(candidates("example.org.", &resolver), ["example.org"]);
    }

    #[test]
    fn the_addresses_of_an_answer_are_found_behind_a_cname() {
        let mut answer = query("a.b").unwrap();
        answer[7] = 2;
        answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 14]);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 96, 0, 1]);
        assert_eq!(addresses(&answer).unwrap(), [Ipv4Addr::new(10, 96, 0, 1)]);
    }

    #[test]
    fn a_cut_answer_is_refused() {
        let mut answer = query("a.b").unwrap();
        answer[7] = 1;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10]);
        assert_eq!(addresses(&answer), None);
        assert!(query("a..b").is_err());
    }
}
