//! Where a config can come from before STATE has one: the kernel command line, inline or as a URL, and QEMU's fw_cfg.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use corten_constants::FW_CFG_CONFIG;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;

/// A text and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) source: &'static str,
    pub(super) text: String,
}

/// The largest config that is read, in bytes.
const LIMIT: u64 = 4 << 20;
/// How long the driver of fw_cfg may take to come up.
const DRIVER_DEADLINE: Duration = Duration::from_secs(30);
/// A server that does not answer in this time is asked again later.
const FETCH_DEADLINE: Duration = Duration::from_secs(10);

/// Decodes `corten.config.inline`: base64 of the documents, which may be zstd-compressed.
///
/// # Errors
/// Says what is wrong with the value.
pub(super) fn inline(value: &str) -> Result<Found, String> {
    let bytes = BASE64_STANDARD.decode(value).map_err(|error| format!("it is not base64: {error}"))?;
    let plain = if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut text = Vec::new();
        let decoder =
            zstd::stream::read::Decoder::new(bytes.as_slice()).map_err(|error| error.to_string())?;
        decoder
            .take(LIMIT)
            .read_to_end(&mut text)
            .map_err(|error| format!("it does not decompress: {error}"))?;
        text
    } else {
        bytes
    };
    let text = String::from_utf8(plain).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(Found { source: "cmdline", text })
}

/// <https://www.qemu.org/docs/master/specs/fw_cfg.html>
///
/// # Errors
/// Says that it is not there, or not text.
pub(super) fn fw_cfg() -> Result<Found, String> {
    let interface = Path::new("/sys/firmware/qemu_fw_cfg");
    // Under QEMU the device is there from the start, and its driver a moment later.
    let deadline = std::time::Instant::now() + DRIVER_DEADLINE;
    while Path::new("/sys/bus/acpi/devices/QEMU0002:00").exists()
        && !interface.exists()
        && std::time::Instant::now() < deadline
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let path = interface.join("by_name").join(FW_CFG_CONFIG).join("raw");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Found { source: "fw_cfg", text }),
        Err(error) => Err(format!("{FW_CFG_CONFIG} is not there: {error}")),
    }
}

/// Fetches `http://<address>[:port]/<path>`. An address, because a static program has no resolver before there is a config.
///
/// # Errors
/// Says what is wrong with the URL or what the server did.
pub(super) async fn fetch(url: &str) -> Result<Found, String> {
    let (target, address) = target(url)?;
    let text = tokio::time::timeout(FETCH_DEADLINE, get(target, address));
    match text.await {
        Ok(text) => Ok(Found { source: "url", text: text? }),
        Err(_) => Err(format!("{url} did not answer within {} s", FETCH_DEADLINE.as_secs())),
    }
}

/// The URL and the socket address that it means.
fn target(url: &str) -> Result<(http::Uri, SocketAddr), String> {
    let allowed = "an http:// URL with an address as its host is allowed";
    let uri: http::Uri = url.parse().map_err(|error| format!("{url:?} is not a URL: {error}; {allowed}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{url:?} does not begin with http://; {allowed}"));
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = host.parse().map_err(|_| format!("{host:?} is not an address; {allowed}"))?;
    let port = uri.port_u16().unwrap_or(80);
    Ok((uri, SocketAddr::new(address, port)))
}

async fn get(uri: http::Uri, address: SocketAddr) -> Result<String, String> {
    let told = |what: &str, error: &dyn std::fmt::Display| format!("{what} {uri}: {error}");
    let stream = tokio::net::TcpStream::connect(address).await.map_err(|error| told("connect to", &error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| told("talk to", &error))?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = http::Request::get(path).header(http::header::HOST, address.to_string());
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| told("ask", &error))?;
    let answer = sender.send_request(request).await.map_err(|error| told("ask", &error))?;
    if !answer.status().is_success() {
        return Err(told("fetch", &answer.status()));
    }
    let limit = usize::try_from(LIMIT).unwrap_or(usize::MAX);
    let body =
        Limited::new(answer.into_body(), limit).collect().await.map_err(|error| told("read", &error))?;
    String::from_utf8(body.to_bytes().to_vec()).map_err(|_| format!("{uri} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_with_an_address_is_taken() {
        assert_eq!(target("http://10.0.2.2:8080/c.yaml").unwrap().1, "10.0.2.2:8080".parse().unwrap());
        assert_eq!(target("http://[fd00::1]/c").unwrap().1, "[fd00::1]:80".parse().unwrap());
        for (url, message) in
            [("https://10.0.0.1/", "begin with http"), ("http://a.b/", "not an address"), ("%", "URL")]
        {
            let error = target(url).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[tokio::test]
    async fn a_config_is_fetched_and_a_refusal_is_told() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/c", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in
                ["200 OK\r\ncontent-length: 2\r\n\r\nab", "404 Not Found\r\ncontent-length: 0\r\n\r\n"]
            {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await.unwrap();
                stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
            }
        });
        assert_eq!(fetch(&url).await.unwrap().text, "ab");
        assert!(fetch(&url).await.unwrap_err().contains("404"));
    }

    #[test]
    fn inline_documents_may_be_compressed() {
        let text = "kind: Machine\n";
        let packed = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
        for bytes in [text.as_bytes(), &packed] {
            assert_eq!(inline(&BASE64_STANDARD.encode(bytes)).unwrap().text, text);
        }
        assert!(inline("%%%").unwrap_err().contains("base64"));
    }
}
