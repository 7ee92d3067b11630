//! apid in this process, a stand-in for machined behind it, and the real client in front.

use std::{
    net::IpAddr,
    pin::Pin,
    time::{Duration, SystemTime},
};

use camino::Utf8Path;
use corten_api::v1::{
    self,
    image_service_server::{ImageService, ImageServiceServer},
    machine_service_server::{MachineService, MachineServiceServer},
};
use corten_client::{Client, ClientError, Context, Fingerprint, Identity, Options as ClientOptions, Problem};
use corten_pki::{Ca, KeyType, Leaf, LeafRequest, Usage};
use futures::Stream;
use tokio::sync::oneshot;
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};

use super::{listen, options::Options, serve};
use crate::update::probe;

/// Tells who called in `kernel`, and streams as many events as were asked for.
struct StandIn;

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl MachineService for StandIn {
    type EventsStream = Events<v1::Event>;
    type DmesgStream = Events<v1::KernelMessage>;
    type ResetStream = Events<v1::Progress>;

    async fn version(
        &self,
        request: Request<v1::VersionRequest>,
    ) -> Result<Response<v1::VersionResponse>, Status> {
        let get = |name| request.metadata().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let kernel = format!("{} {}", get("corten-peer-name"), get("corten-peer-roles"));
        Ok(Response::new(v1::VersionResponse { kernel, ..Default::default() }))
    }

    async fn events(
        &self,
        request: Request<v1::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let count = u64::from(request.into_inner().tail.unsigned_abs());
        let events = (0..count).map(|id| Ok(v1::Event { id, ..Default::default() }));
        let end = [Err(Status::data_loss("the end"))];
        Ok(Response::new(Box::pin(tokio_stream::iter(events.chain(end)))))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn boot_timeline(
        &self,
        _: Request<v1::BootTimelineRequest>,
    ) -> Result<Response<v1::BootTimelineResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn reboot(&self, _: Request<v1::RebootRequest>) -> Result<Response<v1::RebootResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn shutdown(
        &self,
        _: Request<v1::ShutdownRequest>,
    ) -> Result<Response<v1::ShutdownResponse>, Status> {
        tokio::time::sleep(SLOW).await;
        Ok(Response::new(v1::ShutdownResponse { boot_id: "b".into() }))
    }
    async fn reset(&self, _: Request<v1::ResetRequest>) -> Result<Response<Self::ResetStream>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn dmesg(&self, _: Request<v1::DmesgRequest>) -> Result<Response<Self::DmesgStream>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl ImageService for StandIn {
    async fn list(
        &self,
        _: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportImageRequest>>,
    ) -> Result<Response<v1::ImportImageResponse>, Status> {
        let mut chunks = request.into_inner();
        let mut image = v1::Image::default();
        while let Some(chunk) = chunks.message().await? {
            image.size_bytes += chunk.chunk.len() as u64;
        }
        Ok(Response::new(v1::ImportImageResponse { images: vec![image] }))
    }
}

/// apid on a free port of loopback, with a folder of its own.
struct Fixture {
    folder: tempfile::TempDir,
    ca: Ca,
    address: String,
}

impl Fixture {
    /// With certificates and a running stand-in.
    async fn new() -> Self {
        let mut fixture = Self::bare();
        fixture.write_pki(&fixture.ca);
        fixture.stand_in();
        fixture.start(false);
        fixture
    }

    fn bare() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            ca: Ca::generate("os", KeyType::Ed25519).unwrap(),
            address: String::new(),
        }
    }

    fn path(&self) -> &Utf8Path {
        self.folder.path().try_into().unwrap()
    }

    fn write_pki(&self, ca: &Ca) {
        self.write_leaf(ca, &issue(ca, "node", "", Usage::Both, NOW));
    }

    fn write_leaf(&self, ca: &Ca, leaf: &Leaf) {
        for (name, text) in [
            ("tls.crt", leaf.cert_pem.as_str()),
            ("tls.key", leaf.key_pem.expose()),
            ("ca.crt", &ca.cert_pem),
        ] {
            std::fs::write(self.path().join(name), text.as_bytes()).unwrap();
        }
    }

    fn stand_in(&self) {
        let listener = tokio::net::UnixListener::bind(self.path().join("sock")).unwrap();
        let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
        let server = tonic::transport::Server::builder()
            .add_service(tonic_health::server::health_reporter().1)
            .add_service(MachineServiceServer::new(StandIn))
            .add_service(ImageServiceServer::new(StandIn));
        tokio::spawn(server.serve_with_incoming(incoming));
    }

    fn start(&mut self, maintenance: bool) {
        let (listener, options) = self.listen(maintenance);
        tokio::spawn(serve(listener, options, std::future::pending()));
    }

    fn listen(&mut self, maintenance: bool) -> (std::net::TcpListener, Options) {
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        self.address = listener.local_addr().unwrap().to_string();
        let options = Options {
            pki: self.path().to_owned(),
            socket: self.path().join("sock"),
            maintenance,
            ..Options::default()
        };
        (listener, options)
    }

    /// In a runtime of its own, which takes everything along when it ends, as the process does.
    fn start_until(&mut self, stop: oneshot::Receiver<()>) -> std::thread::JoinHandle<()> {
        let (listener, options) = self.listen(false);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, options, async { drop(stop.await) }));
        })
    }

    fn context(&self, name: &str, role: &str) -> Context {
        self.context_of(&self.ca, &self.ca, name, role, NOW)
    }

    fn context_of(&self, server: &Ca, client: &Ca, name: &str, role: &str, age: Duration) -> Context {
        let leaf = issue(client, name, role, Usage::Client, age);
        Context::new(vec![self.address.clone()], &server.cert_pem, &leaf.cert_pem, leaf.key_pem.expose())
    }

    async fn connect(&self, context: &Context) -> Result<Client, ClientError> {
        Client::connect(context, &self.address, ClientOptions::default()).await
    }

    /// What the health gate finds.
    async fn probe(&self, identity: Option<&Identity>) -> Result<(), String> {
        probe::api(&[self.address.parse().unwrap()], identity).await
    }

    /// What a call ends with, wherever it fails.
    async fn problem(&self, context: &Context) -> Problem {
        match self.connect(context).await {
            Err(error) => error.problem,
            Ok(client) => {
                let status = client.machine().version(v1::VersionRequest {}).await.unwrap_err();
                client.error(&status).problem
            }
        }
    }
}

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);
/// The stand-in's time to answer `shutdown`.
const SLOW: Duration = Duration::from_millis(400);

/// A leaf that lasts an hour, issued `age` ago.
fn issue(ca: &Ca, name: &str, role: &str, usage: Usage, age: Duration) -> Leaf {
    ca.issue_at(&request(name, role, usage), SystemTime::now() - age).unwrap()
}

fn request(name: &str, role: &str, usage: Usage) -> LeafRequest {
    LeafRequest {
        common_name: name.to_owned(),
        organizations: if role.is_empty() { Vec::new() } else { vec![role.to_owned()] },
        dns_names: Vec::new(),
        ips: vec![IpAddr::from([127, 0, 0, 1])],
        usage,
        lifetime: HOUR,
        key: KeyType::Ed25519,
    }
}

async fn who(client: &Client) -> String {
    client.machine().version(v1::VersionRequest {}).await.unwrap().into_inner().kernel
}

#[tokio::test]
async fn the_api_answers_a_version_on_trial_when_apid_and_machined_do() {
    let mut fixture = Fixture::bare();
    fixture.write_pki(&fixture.ca);
    fixture.start(false);
    let identity = probe::identity(&fixture.ca).unwrap();
    let mute = fixture.probe(Some(&identity)).await.unwrap_err();
    assert!(mute.contains("machined does not answer"), "{mute}");
    fixture.stand_in();
    fixture.probe(Some(&identity)).await.unwrap();
    let other = probe::identity(&Ca::generate("other", KeyType::Ed25519).unwrap()).unwrap();
    fixture.probe(Some(&other)).await.unwrap_err();
    fixture.probe(None).await.unwrap_err();
}

#[tokio::test]
async fn the_caller_is_told_to_machined_and_cannot_be_forged() {
    let fixture = Fixture::new().await;
    let client = fixture.connect(&fixture.context("alice b", "os:reader")).await.unwrap();
    assert_eq!(who(&client).await, "alice%20b os:reader");
    let mut request = Request::new(v1::VersionRequest {});
    request.metadata_mut().insert("corten-peer-roles", "os:admin".parse().unwrap());
    request.metadata_mut().insert("corten-peer-name", "root".parse().unwrap());
    let answer = client.machine().version(request).await.unwrap().into_inner();
    assert_eq!(answer.kernel, "alice%20b os:reader");
}

#[tokio::test]
async fn streams_pass_both_ways_and_end_with_their_status() {
    let fixture = Fixture::new().await;
    let client = fixture.connect(&fixture.context("a", "os:admin")).await.unwrap();
    let mut events =
        client.machine().events(v1::EventsRequest { tail: 5000, follow: false }).await.unwrap().into_inner();
    let mut count = 0;
    let status = loop {
        match events.next().await {
            Some(Ok(event)) => {
                assert_eq!(event.id, count);
                count += 1;
            }
            Some(Err(status)) => break status,
            None => panic!("no status at the end"),
        }
    };
    assert_eq!((count, status.message()), (5000, "the end"));
    let chunk = v1::ImportImageRequest { chunk: vec![7; 1 << 20].into() };
    let answer = client.images().import(tokio_stream::iter(vec![chunk; 40])).await.unwrap().into_inner();
    assert_eq!(answer.images[0].size_bytes, 40 << 20);
}

#[tokio::test]
async fn strangers_are_refused_and_told_why() {
    let fixture = Fixture::new().await;
    let other = Ca::generate("other", KeyType::Ed25519).unwrap();
    let (ca, role) = (&fixture.ca, "os:admin");
    let problem = fixture.problem(&fixture.context_of(ca, &other, "a", role, NOW)).await;
    assert!(matches!(problem, Problem::ClientNotTrusted), "{problem:?}");
    let problem = fixture.problem(&fixture.context_of(&other, ca, "a", role, NOW)).await;
    assert!(matches!(problem, Problem::WrongCa { .. }), "{problem:?}");
    let problem = fixture.problem(&fixture.context_of(ca, ca, "a", role, 2 * HOUR)).await;
    assert!(matches!(problem, Problem::ClientCertificateExpired { .. }), "{problem:?}");
    let problem = match Client::connect_insecure(&fixture.address, None, ClientOptions::default()).await {
        Err(error) => error.problem,
        Ok(client) => {
            let status = client.machine().version(v1::VersionRequest {}).await.unwrap_err();
            client.error(&status).problem
        }
    };
    assert!(matches!(problem, Problem::CertificateRequired), "{problem:?}");
}

#[tokio::test]
async fn a_node_with_another_name_or_time_is_told_apart() {
    let mut fixture = Fixture::bare();
    let context = |fixture: &Fixture| fixture.context("a", "os:admin");
    fixture.write_leaf(&fixture.ca, &issue(&fixture.ca, "node", "", Usage::Both, 2 * HOUR));
    fixture.start(false);
    let problem = fixture.problem(&context(&fixture)).await;
    assert!(matches!(problem, Problem::NodeCertificateExpired { .. }), "{problem:?}");

    let wish = request("node", "", Usage::Both);
    let tomorrow = fixture.ca.issue_at(&wish, SystemTime::now() + 24 * HOUR).unwrap();
    fixture.write_leaf(&fixture.ca, &tomorrow);
    fixture.start(false);
    let problem = fixture.problem(&context(&fixture)).await;
    let Problem::ClockSkew { behind: Some(behind) } = problem else { panic!("{problem:?}") };
    assert!(behind > 23 * HOUR, "{behind:?}");

    fixture.write_pki(&fixture.ca);
    fixture.start(false);
    let address = fixture.address.replace("127.0.0.1", "localhost");
    let error = Client::connect(&context(&fixture), &address, ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error.problem, Problem::WrongName { .. }), "{error:?}");
}

#[tokio::test]
async fn maintenance_is_anonymous_pinned_and_named_to_those_with_a_context() {
    let mut fixture = Fixture::bare();
    let leaf = corten_pki::maintenance_certificate(&[], &["127.0.0.1".parse().unwrap()]).unwrap();
    for (name, text) in
        [("tls.crt", leaf.cert_pem.as_str()), ("tls.key", leaf.key_pem.expose()), ("maintenance", "")]
    {
        std::fs::write(fixture.path().join(name), text).unwrap();
    }
    fixture.stand_in();
    fixture.start(false);
    fixture.probe(None).await.unwrap();
    let problem = fixture.problem(&fixture.context("a", "os:admin")).await;
    let Problem::Maintenance { fingerprint: Some(fingerprint) } = problem else { panic!("{problem:?}") };
    let options = ClientOptions::default;
    let client = Client::connect_insecure(&fixture.address, Some(fingerprint), options()).await.unwrap();
    assert_eq!(who(&client).await, "- -");
    let wrong = Fingerprint::of(b"another");
    let error = Client::connect_insecure(&fixture.address, Some(wrong), options()).await.unwrap_err();
    assert!(
        matches!(error.problem, Problem::WrongFingerprint { shown: Some(shown) } if shown == fingerprint)
    );
}

#[tokio::test]
async fn changed_files_are_in_force_for_new_connections_within_seconds() {
    let fixture = Fixture::new().await;
    let before = fixture.connect(&fixture.context("a", "os:admin")).await.unwrap();
    assert_eq!(who(&before).await, "a os:admin");
    let next = Ca::generate("next", KeyType::Ed25519).unwrap();
    fixture.write_pki(&next);
    let context = fixture.context_of(&next, &next, "b", "os:reader", NOW);
    let new = async {
        loop {
            if let Ok(client) = fixture.connect(&context).await {
                break client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let after = tokio::time::timeout(Duration::from_secs(5), new).await.unwrap();
    assert_eq!(who(&after).await, "b os:reader");
    assert_eq!(who(&before).await, "a os:admin", "an open connection stays");
}

#[tokio::test]
async fn without_machined_the_answer_says_so_and_it_recovers() {
    let mut fixture = Fixture::bare();
    fixture.write_pki(&fixture.ca);
    fixture.start(false);
    let client = fixture.connect(&fixture.context("a", "os:admin")).await.unwrap();
    let status = client.machine().version(v1::VersionRequest {}).await.unwrap_err();
    assert_eq!(client.error(&status).problem.code(), "proxy.unavailable");
    fixture.stand_in();
    assert_eq!(who(&client).await, "a os:admin");
}

#[tokio::test]
async fn an_answer_under_way_arrives_although_apid_ends() {
    let mut fixture = Fixture::bare();
    fixture.write_pki(&fixture.ca);
    fixture.stand_in();
    let (stop, stopped) = oneshot::channel();
    let apid = fixture.start_until(stopped);
    let context = fixture.context("a", "os:admin");
    let client = fixture.connect(&context).await.unwrap();
    assert_eq!(who(&client).await, "a os:admin");
    let mut machine = client.machine();
    let ending = async {
        tokio::time::sleep(SLOW / 4).await;
        stop.send(()).unwrap();
        tokio::time::sleep(SLOW / 4).await;
        assert_eq!(fixture.connect(&context).await.unwrap_err().problem.code(), "connect.refused");
    };
    let (answer, ()) = tokio::join!(machine.shutdown(v1::ShutdownRequest::default()), ending);
    assert_eq!(answer.unwrap().into_inner().boot_id, "b");
    tokio::task::spawn_blocking(|| apid.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn plain_text_is_recognised_as_not_our_api() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = Client::connect_insecure(&address, None, ClientOptions::default()).await.unwrap_err();
    assert_eq!(error.problem.code(), "connect.not-corten");
    let error = Client::connect_insecure("127.0.0.1:1", None, ClientOptions::default()).await.unwrap_err();
    assert_eq!(error.problem.code(), "connect.refused");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { drop(listener.accept().await) });
    let error = Client::connect_insecure(&address, None, ClientOptions::default()).await.unwrap_err();
    assert_eq!(error.problem.code(), "connect.closed");
}
