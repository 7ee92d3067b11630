//! A small web server on this machine, for nodes that fetch something: files by path, with `Range`, and connections that
//! break. It is also an OCI registry, as far as pulling an artifact needs one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use corten_bundle::Digest;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Web {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Media type and content by path.
    files: BTreeMap<String, (&'static str, Arc<Vec<u8>>)>,
    /// Paths whose next answer breaks off halfway.
    breaks: BTreeSet<String>,
    /// Path and first byte of every request, in order.
    asked: Vec<(String, u64)>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Web {
    /// Serves nothing so far.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, shared) = (listener.local_addr()?.port(), Arc::<Shared>::default());
        let state = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                // A node that goes away in the middle of an answer is no failure of the server.
                tokio::spawn(async move { serve(stream, &state).await });
            }
        });
        Ok(Self { port, shared, task })
    }

    /// The server as a node sees it that may open connections: `10.0.2.2:8080`.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", corten_lab::HOST, self.port)
    }

    /// Has this content from now on.
    pub(crate) fn put(&self, path: &str, media_type: &'static str, content: Arc<Vec<u8>>) {
        self.shared.lock().files.insert(path.to_owned(), (media_type, content));
    }

    /// Has this artifact of one layer from now on; gives the path of the layer.
    pub(crate) fn put_artifact(&self, name: &str, tag: &str, layer: Arc<Vec<u8>>) -> Result<String> {
        let digest = Digest::of(&layer);
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.corten.bundle.v1",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": format!("sha256:{}", Digest::of(b"{}")),
                "size": 2,
            },
            "layers": [{
                "mediaType": "application/vnd.corten.bundle.v1",
                "digest": format!("sha256:{digest}"),
                "size": layer.len(),
            }],
        });
        let path = format!("/v2/{name}/blobs/sha256:{digest}");
        self.put("/v2/", "application/json", Arc::new(b"{}".to_vec()));
        let manifest = serde_json::to_vec(&manifest)?;
        self.put(&format!("/v2/{name}/manifests/{tag}"), MANIFEST, Arc::new(manifest));
        self.put(&path, "application/octet-stream", layer);
        Ok(path)
    }

    /// Has the first image of this OCI archive from now on; gives the path of its manifest.
    pub(crate) fn put_image(&self, name: &str, tag: &str, archive: &Utf8Path) -> Result<String> {
        let mut files = read_archive(archive)?;
        let index: serde_json::Value = serde_json::from_slice(files.get("index.json").context("no index")?)?;
        let digest = index["manifests"][0]["digest"].as_str().context("no image")?.replace(':', "/");
        let manifest = files.remove(&format!("blobs/{digest}")).context("no manifest")?;
        for (path, content) in files {
            if let Some(digest) = path.strip_prefix("blobs/sha256/") {
                let path = format!("/v2/{name}/blobs/sha256:{digest}");
                self.put(&path, "application/octet-stream", content);
            }
        }
        let path = |of: &str| format!("/v2/{name}/manifests/{of}");
        self.put(&path(&digest.replace('/', ":")), MANIFEST, Arc::clone(&manifest));
        self.put(&path(tag), MANIFEST, manifest);
        Ok(path(tag))
    }

    /// The next answer with this content breaks off halfway.
    pub(crate) fn break_once(&self, path: &str) {
        self.shared.lock().breaks.insert(path.to_owned());
    }

    /// First bytes of the requests for this path, in order.
    pub(crate) fn asked(&self, path: &str) -> Vec<u64> {
        self.shared.lock().asked.iter().filter(|(asked, _)| asked == path).map(|(_, from)| *from).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Content by path.
fn read_archive(archive: &Utf8Path) -> Result<BTreeMap<String, Arc<Vec<u8>>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(File::open(archive)?).entries()? {
        let (mut entry, mut content) = (entry?, Vec::new());
        let path = entry.path()?.to_string_lossy().into_owned();
        entry.read_to_end(&mut content)?;
        files.insert(path, Arc::new(content));
    }
    Ok(files)
}

/// A request without a body.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    /// Without the query: a mirror is told there whom it stands for.
    path: String,
    /// The answer's head is all that is wanted.
    head: bool,
    /// First byte that is wanted.
    from: Option<u64>,
}

/// Answers one request after the other, until the other side closes or an answer has to break.
async fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let (file, breaks) = {
            let mut state = shared.lock();
            state.asked.push((request.path.clone(), request.from.unwrap_or(0)));
            (state.files.get(&request.path).cloned(), state.breaks.remove(&request.path))
        };
        let Some((media_type, content)) = file else {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?;
            continue;
        };
        let from = usize::try_from(request.from.unwrap_or(0))?.min(content.len());
        stream.write_all(head(media_type, request.from, content.len()).as_bytes()).await?;
        if request.head {
            continue;
        }
        let body = &content[from..];
        if breaks {
            stream.write_all(&body[..body.len() / 2]).await?;
            return Ok(());
        }
        stream.write_all(body).await?;
        stream.flush().await?;
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => return parse(&lines).map(Some),
            line => lines.push(line.to_owned()),
        }
    }
}

fn parse(lines: &[String]) -> Result<Request> {
    let first = lines.first().context("a request has a first line")?;
    let head = first.starts_with("HEAD ");
    let path = first.split_whitespace().nth(1).and_then(|target| target.split('?').next());
    let path = path.context("a request has a path")?.to_owned();
    let range = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("range").then(|| value.trim().to_owned())
    });
    let first = |range: &String| Some(range.strip_prefix("bytes=")?.split('-').next()?.parse());
    Ok(Request { path, head, from: range.as_ref().and_then(first).transpose()? })
}

fn head(media_type: &str, from: Option<u64>, total: usize) -> String {
    let (status, range, length) = match from {
        None => ("200 OK", String::new(), total as u64),
        Some(from) => {
            let range = format!("content-range: bytes {from}-{}/{total}\r\n", total.saturating_sub(1));
            ("206 Partial Content", range, (total as u64).saturating_sub(from))
        }
    };
    format!("HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\n{range}content-length: {length}\r\n\r\n")
}

#[test]
fn a_request_says_what_it_wants() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let request = parse(&lines("GET /x HTTP/1.1\nHost: a\nRange: bytes=7-\n")).unwrap();
    assert_eq!(request, Request { path: "/x".into(), head: false, from: Some(7) });
    let request = parse(&lines("HEAD /?ns=a HTTP/1.1")).unwrap();
    assert_eq!(request, Request { path: "/".into(), head: true, from: None });
    assert!(head("a/b", Some(7), 10).contains("bytes 7-9/10\r\ncontent-length: 3\r\n"));
}
