//! Forwards requests as they are, any method, any streaming, trailers included; only the caller's identity is ours.

use corten_api::{codes, error, peer as metadata};
use http::{HeaderMap, HeaderName, Request, Response, Uri, uri::Authority, uri::Scheme};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use tonic::Status;

use super::{drain::Drain, peer::Peer, upstream::Upstream};

/// A body that machined sends, or none because this is our own error.
pub(super) type ProxyBody = Either<Incoming, Empty<Bytes>>;

const NAME: HeaderName = HeaderName::from_static(metadata::NAME);
const ROLES: HeaderName = HeaderName::from_static(metadata::ROLES);
const ADDRESS: HeaderName = HeaderName::from_static(metadata::ADDRESS);

/// The way to machined.
#[derive(Debug)]
pub(super) struct Proxy {
    upstream: Upstream,
    drain: Drain,
}

impl Proxy {
    pub(super) fn new(upstream: Upstream) -> Self {
        Self { upstream, drain: Drain::default() }
    }

    /// How this process ends.
    pub(super) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Forward one request; too many of them, or an unreachable machined, become a gRPC status.
    pub(super) async fn forward(&self, mut request: Request<Incoming>, peer: &Peer) -> Response<ProxyBody> {
        let Some(_unanswered) = self.drain.call() else {
            let hint = "try again in a moment; if it stays like this: osctl logs machined";
            return refuse(error::status(codes::BUSY, "too many calls wait for machined", hint));
        };
        attach(request.headers_mut(), peer);
        *request.uri_mut() = local(request.uri());
        match self.upstream.send(request).await {
            Ok(response) => response.map(Either::Left),
            Err(failure) => {
                let hint = "machined may be starting or stopping: try again";
                refuse(error::to_status(codes::PROXY_UNAVAILABLE, &failure, hint))
            }
        }
    }
}

fn refuse(status: Status) -> Response<ProxyBody> {
    status.into_http::<Empty<Bytes>>().map(Either::Right)
}

/// Remove what only we may say, then say it.
fn attach(headers: &mut HeaderMap, peer: &Peer) {
    if headers.keys().any(|name| name.as_str().starts_with(metadata::PREFIX)) {
        let forged: Vec<_> =
            headers.keys().filter(|name| name.as_str().starts_with(metadata::PREFIX)).cloned().collect();
        for name in forged {
            headers.remove(name);
        }
    }
    for (name, value) in [(NAME, &peer.name), (ROLES, &peer.roles), (ADDRESS, &peer.address)] {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
}

/// The same path on the local socket.
fn local(uri: &Uri) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::from_static("machined"));
    parts.path_and_query = uri.path_and_query().cloned().or_else(|| "/".parse().ok());
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_metadata_is_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (metadata::NAME, "root"),
            (metadata::ROLES, "os:admin"),
            ("corten-peer-x", "1"),
            ("te", "trailers"),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let peer = Peer::new("[::ffff:10.0.0.9]:5".parse().unwrap(), None);
        attach(&mut headers, &peer);
        assert!(!headers.contains_key(metadata::NAME));
        assert!(!headers.contains_key(metadata::ROLES));
        assert!(!headers.contains_key("corten-peer-x"));
        assert_eq!(headers[metadata::ADDRESS], "10.0.0.9:5");
        assert!(headers.contains_key("te"));
    }

    #[test]
    fn only_the_path_is_kept_of_a_uri() {
        let uri = local(&"https://node:50000/a.B/C?q".parse().unwrap());
        assert_eq!(uri.to_string(), "http://machined/a.B/C?q");
    }
}
