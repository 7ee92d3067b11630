//! Servers that break off: some go on where they were, some begin anew.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const CONTENT: &[u8] = b"abcdefghij";

/// A bundle that comes in two bytes at once; after `breaks` bytes of it the connection breaks, as long as there are any.
async fn incoming(breaks: &'static [usize], partial: bool) -> (Incoming, Arc<Mutex<Vec<u64>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let open: Open = Box::new(move |from| {
        let mut seen = seen.lock().unwrap();
        let start = if partial { from } else { 0 };
        let begin = usize::try_from(start).unwrap();
        let end = breaks.get(seen.len()).map_or(CONTENT.len(), |length| begin + length);
        seen.push(from);
        let pieces = CONTENT[begin..end].chunks(2).map(|piece| Ok(Bytes::from_static(piece)));
        let broken = (end < CONTENT.len()).then(|| Err(io::ErrorKind::ConnectionReset.into()));
        let stream = futures::stream::iter(pieces.chain(broken).collect::<Vec<_>>()).boxed();
        async move { Ok(Opened { start, stream }) }.boxed()
    });
    (Incoming::start(open).await.unwrap(), asked)
}

async fn rest(bundle: &mut Incoming) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = bundle.chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_goes_on_where_it_was() {
    let (mut bundle, asked) = incoming(&[4, 2], true).await;
    assert_eq!(rest(&mut bundle).await, CONTENT);
    assert_eq!(*asked.lock().unwrap(), [0, 4, 6]);
}

#[tokio::test(start_paused = true)]
async fn from_a_server_that_begins_anew_what_is_here_is_passed_over() {
    let (mut bundle, asked) = incoming(&[5, 3, 7], false).await;
    assert_eq!(rest(&mut bundle).await, CONTENT);
    assert_eq!(*asked.lock().unwrap(), [0, 5, 5, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_only_breaks_is_given_up() {
    let (mut bundle, asked) = incoming(&[0; 20], true).await;
    assert!(matches!(bundle.chunk().await, Err(SourceError::Read(_))));
    assert_eq!(asked.lock().unwrap().len(), 1 + ATTEMPTS as usize);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_again_is_given_up() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let open: Open = Box::new(move |_| {
        if !first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return futures::future::pending().boxed();
        }
        let stream = futures::stream::iter([Err(io::ErrorKind::ConnectionReset.into())]).boxed();
        async move { Ok(Opened { start: 0, stream }) }.boxed()
    });
    let mut bundle = Incoming::start(open).await.unwrap();
    let given_up = tokio::time::timeout(PATIENCE * 100, bundle.chunk()).await.unwrap();
    assert!(matches!(given_up, Err(SourceError::Silent)), "{given_up:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_connection_and_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for origin in [Origin::Url(format!("http://{address}/x")), Origin::Image(format!("{address}/x/y:1"))] {
        let opened = tokio::time::timeout(PATIENCE * 100, open(&origin, true)).await.unwrap();
        assert!(matches!(opened, Err(SourceError::Silent)), "{opened:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_here_already_are_not_sent_again() {
    for partial in [true, false] {
        let (mut bundle, asked) = incoming(&[], partial).await;
        bundle.skip(5).await.unwrap();
        assert_eq!(rest(&mut bundle).await, b"fghij");
        assert_eq!(*asked.lock().unwrap(), [0, 5]);
    }
    let (mut bundle, asked) = incoming(&[], true).await;
    assert_eq!(bundle.chunk().await.unwrap().unwrap(), "ab");
    bundle.skip(0).await.unwrap();
    assert_eq!(rest(&mut bundle).await, b"cdefghij");
    assert_eq!(*asked.lock().unwrap(), [0]);
}

#[tokio::test]
async fn a_stream_that_ends_inside_the_header_says_so() {
    let open: Open = Box::new(|_| {
        let stream = futures::stream::iter([Ok(Bytes::from_static(b"CORT"))]).boxed();
        async move { Ok(Opened { start: 0, stream }) }.boxed()
    });
    let error = Incoming::start(open).await.unwrap().header().await.unwrap_err();
    assert!(matches!(error, SourceError::Truncated(4)), "{error}");
}

#[tokio::test]
async fn only_web_addresses_and_references_are_taken() {
    for origin in [Origin::Url("ftp://x/y".into()), Origin::Image("UPPER//".into())] {
        assert!(open(&origin, false).await.is_err(), "{origin:?}");
    }
}

/// Answers one connection after the other, and gives their requests.
async fn server(answers: &'static [&'static str]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            requests.push(String::from_utf8_lossy(&request[..length]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    };
    (address, tokio::spawn(serve))
}

#[tokio::test]
async fn a_web_server_is_asked_for_what_is_missing() {
    let (address, requests) = server(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabcd",
        "HTTP/1.1 206 Partial Content\r\ncontent-length: 6\r\n\r\nefghij",
    ])
    .await;
    let mut bundle = open(&Origin::Url(format!("http://{address}/x")), false).await.unwrap();
    assert_eq!(rest(&mut bundle).await, CONTENT);
    let requests = requests.await.unwrap();
    assert!(!requests[0].contains("range:") && requests[1].contains("range: bytes=4-"), "{requests:?}");
}

#[tokio::test]
async fn a_server_without_the_bundle_says_so() {
    let (address, _requests) = server(&["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"]).await;
    let error = open(&Origin::Url(format!("http://{address}/x")), false).await.unwrap_err();
    assert!(crate::errors::chain(&error).contains("404"), "{error:?}");
}
