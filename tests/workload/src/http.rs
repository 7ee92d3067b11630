//! Enough HTTP/1.0 for test pods: a server with four answers, and a client for `http://` addresses.

use crate::{Outcome, dns, signals};
use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// One item a line.
pub(crate) fn lines(items: &[impl Display]) -> String {
    items.iter().map(|item| format!("{item}\n")).collect()
}

/// Serves until SIGTERM, a thread a connection.
pub(crate) fn serve(port: u16) -> Outcome {
    signals::end_on_term()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("serving on port {port}");
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = answer(&stream) {
                eprintln!("workload: {error}");
            }
        });
    }
    Err("the listener ended".into())
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let target = request.split_whitespace().nth(1).unwrap_or("/").to_owned();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    println!("{}", request.trim_end());
    let (status, body) = match respond(&target) {
        Ok(body) => ("200 OK", body),
        Err(error) => ("502 Bad Gateway", format!("{error}\n")),
    };
    let length = body.len();
    write!(stream, "HTTP/1.0 {status}\r\nContent-Length: {length}\r\nContent-Type: text/plain\r\n\r\n{body}")
}

fn respond(target: &str) -> Result<String, Box<dyn std::error::Error>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match (path, query.split_once('=')) {
        ("/", _) => Ok(format!("workload on {}\n", hostname())),
        ("/echo", Some(("text", text))) => Ok(format!("{text}\n")),
        ("/resolve", Some(("name", name))) => Ok(lines(&dns::resolve(name)?)),
        ("/fetch", Some(("url", url))) => get(url),
        _ => Err(format!("nothing at {target}").into()),
    }
}

fn hostname() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "an unnamed host".to_owned())
}

/// The body that an `http://` address answers; anything but a 200 is an error.
pub(crate) fn get(url: &str) -> Result<String, Box<dyn std::error::Error>> {
    let (host, port, path) = split(url)?;
    let address = *dns::resolve(host)?.first().ok_or("no address")?;
    let mut stream = TcpStream::connect_timeout(&(address, port).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("not an HTTP answer")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") { Ok(body.to_owned()) } else { Err(status.into()) }
}

fn split(url: &str) -> Result<(&str, u16, &str), Box<dyn std::error::Error>> {
    let rest = url.strip_prefix("http://").ok_or("only http:// is known")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    Ok((host, port.parse()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_host_port_and_path() {
        assert_eq!(split("http://web").unwrap(), ("web", 80, "/"));
        assert_eq!(split("http://10.0.0.1:81/a?b=c").unwrap(), ("10.0.0.1", 81, "/a?b=c"));
        assert!(split("https://web").is_err());
    }

    #[test]
    fn the_client_reads_what_the_server_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                answer(&listener.accept().unwrap().0).unwrap();
            }
        });
        assert_eq!(get(&format!("http://127.0.0.1:{port}/echo?text=hello")).unwrap(), "hello\n");
        let missing = get(&format!("http://127.0.0.1:{port}/none")).unwrap_err();
        assert!(missing.to_string().contains("502"), "{missing}");
        server.join().unwrap();
    }
}
