//! What all callers together may have under way, so that what they send does not fill the memory of PID 1, and a request
//! that never becomes whole ends.
//!
//! A call beyond that is refused at once. It could not wait: what it has sent by then would take the window of a connection
//! that all callers share.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use corten_api::v1::{config_service_server, image_service_server, update_service_server};
use corten_api::{codes, error};
use futures::future::{self, BoxFuture, FutureExt as _, TryFutureExt as _};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Largest message of most services, in bytes: names and numbers.
pub(super) const MESSAGE: usize = 64 << 10;
/// Of the services that take a file in pieces of 1 MiB.
pub(super) const PIECE: usize = (1 << 20) + MESSAGE;
/// Of the one that takes configs; those that come from elsewhere may be as large.
pub(super) const CONFIG: usize = 4 << 20;

/// Calls under way at a time, watches included, by the size of their messages: some 32 MiB each time.
const CALLS: usize = 512;
const PIECES: usize = 32;
const CONFIGS: usize = 8;

/// For a request to come in whole.
const WHOLE: Duration = Duration::from_secs(60);
/// Methods whose request is a stream: it may take as long as it likes, but not this long for nothing.
const STREAMS: [&str; 3] = [
    "/corten.v1.ImageService/Import",
    "/corten.v1.UpdateService/Write",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// Puts [`Limits`] in front of all services.
#[derive(Debug, Clone)]
pub(super) struct LimitLayer {
    calls: Arc<Semaphore>,
    pieces: Arc<Semaphore>,
    configs: Arc<Semaphore>,
}

impl Default for LimitLayer {
    fn default() -> Self {
        let room = |calls| Arc::new(Semaphore::new(calls));
        Self { calls: room(CALLS), pieces: room(PIECES), configs: room(CONFIGS) }
    }
}

impl LimitLayer {
    /// Where calls of this path are counted.
    fn room(&self, path: &str) -> &Arc<Semaphore> {
        match path.split('/').nth(1) {
            Some(config_service_server::SERVICE_NAME) => &self.configs,
            Some(image_service_server::SERVICE_NAME | update_service_server::SERVICE_NAME) => &self.pieces,
            _ => &self.calls,
        }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limits<S>;

    fn layer(&self, inner: S) -> Limits<S> {
        Limits { inner, layer: self.clone() }
    }
}

/// Counts the calls, and watches over their requests.
#[derive(Debug, Clone)]
pub(super) struct Limits<S> {
    inner: S,
    layer: LimitLayer,
}

impl<S> Service<http::Request<Body>> for Limits<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let Ok(place) = Arc::clone(self.layer.room(path)).try_acquire_owned() else {
            return future::ok(busy(path).into_http()).boxed();
        };
        let stream = STREAMS.contains(&path);
        let answer = self.inner.call(request.map(|body| Body::new(Arriving::new(body, stream))));
        answer.map_ok(move |answer| answer.map(|body| Body::new(counted(body, place)))).boxed()
    }
}

/// The call is over when its answer is: the body keeps the place for as long as it is there.
fn counted(body: Body, place: OwnedSemaphorePermit) -> impl HttpBody<Data = Bytes, Error = Status> {
    body.map_err(move |status| {
        let _place = &place;
        status
    })
}

fn busy(path: &str) -> Status {
    let hint = "try again in a moment; if it stays like this, a client leaves its calls open";
    error::status(codes::BUSY, format!("too many calls like {path} are under way"), hint)
}

/// The body of a request, which ends with an error when it takes too long.
#[derive(Debug)]
struct Arriving {
    body: Body,
    stream: bool,
    deadline: Instant,
    /// Made when there is something to wait for: nearly every request is whole at once.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    fn new(body: Body, stream: bool) -> Self {
        Self { body, stream, deadline: Instant::now() + WHOLE, timer: None }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.timer = None;
            return Poll::Ready(frame);
        }
        let timer = this.timer.get_or_insert_with(|| {
            // We may have been slow to take the last piece: that is not the caller's time.
            let deadline = if this.stream { Instant::now() + WHOLE } else { this.deadline };
            Box::pin(sleep_until(deadline))
        });
        ready!(timer.as_mut().poll(cx));
        let message = format!("the request did not come in whole within {} seconds", WHOLE.as_secs());
        Poll::Ready(Some(Err(error::status(codes::TIMEOUT, message, "is the network slow or broken?"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::StreamExt as _;
    use http_body_util::StreamBody;
    use prost::Message as _;
    use tonic::Code;
    use tower::ServiceExt as _;

    use super::*;

    /// A body that sends these pieces, one every `pause`, and then nothing; it does not end.
    fn body(pieces: usize, pause: Duration) -> Body {
        let sent = futures::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, Status>(Frame::data(Bytes::from_static(b"piece")))
        });
        Body::new(StreamBody::new(Box::pin(sent.chain(futures::stream::pending()))))
    }

    async fn call(layer: &LimitLayer, path: &str) -> http::Response<Body> {
        let answer =
            |_: http::Request<Body>| async { Ok::<_, Infallible>(http::Response::new(body(0, WHOLE))) };
        let request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        layer.layer(tower::service_fn(answer)).oneshot(request).await.unwrap()
    }

    fn refused(answer: &http::Response<Body>) -> bool {
        let status = Status::from_header_map(answer.headers());
        status.is_some_and(|status| status.code() == Code::ResourceExhausted)
    }

    #[tokio::test]
    async fn calls_beyond_the_limit_are_refused_until_an_answer_is_over() {
        let layer = LimitLayer::default();
        for (path, limit) in [
            ("/corten.v1.ResourceService/Watch", CALLS),
            ("/corten.v1.UpdateService/Write", PIECES),
            ("/corten.v1.ConfigService/Validate", CONFIGS),
        ] {
            let mut open = Vec::new();
            for _ in 0..limit {
                open.push(call(&layer, path).await);
            }
            assert!(!open.iter().any(refused), "{path}");
            assert!(refused(&call(&layer, path).await), "{path}");
            open.pop();
            assert!(!refused(&call(&layer, path).await), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_become_whole_ends() {
        let taken = async |stream: bool, pieces: usize, pause: Duration| {
            let mut body = Arriving::new(body(pieces, pause), stream);
            for taken in 0.. {
                if let Err(status) = body.frame().await.unwrap() {
                    assert_eq!(status.code(), Code::DeadlineExceeded);
                    return taken;
                }
            }
            0
        };
        assert_eq!(taken(false, 0, WHOLE).await, 0);
        assert_eq!(taken(false, 9, WHOLE * 2 / 5).await, 2, "a drop from time to time does not help");
        assert_eq!(taken(true, 9, WHOLE * 2 / 5).await, 9, "a stream may go on");
    }

    #[test]
    fn the_methods_that_take_streams_are_those_of_the_protos() {
        let set = prost_types::FileDescriptorSet::decode(corten_api::FILE_DESCRIPTOR_SET).unwrap();
        let mut streams = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in service.method.iter().filter(|method| method.client_streaming()) {
                    streams.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        streams.push("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".into());
        streams.sort();
        assert_eq!(streams, STREAMS);
    }
}
