//! A node that is two processes in a temporary folder: `machined native` and apid.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use corten_api::v1;
use corten_client::{Client, ClientError, Context, Options, Problem};
use corten_pki::{Ca, KeyType, Leaf, LeafRequest, Usage, maintenance_certificate};

/// Long enough for a busy machine, and then it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A running node. Both processes end with it.
pub(crate) struct Node {
    folder: tempfile::TempDir,
    machined: Child,
    apid: Child,
    /// Address and port of the API.
    pub(crate) address: String,
    /// The authority of the node and of its clients.
    pub(crate) ca: Ca,
}

/// What the node shows to its clients.
pub(crate) enum Shows {
    /// A certificate of its CA, issued at this time.
    Certificate(SystemTime),
    /// What a machine without a config shows; and it asks for no client certificate.
    Maintenance,
}

impl Node {
    /// A node with a config, and with a certificate that is good.
    pub(crate) fn start() -> Self {
        Self::showing(Shows::Certificate(SystemTime::now()))
    }

    /// A node with the certificate of choice.
    pub(crate) fn showing(shows: Shows) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let ca = Ca::generate("os", KeyType::Ed25519).unwrap();
        let maintenance = matches!(shows, Shows::Maintenance);
        let leaf = match shows {
            Shows::Certificate(at) => ca.issue_at(&request("node", "", Usage::Server), at).unwrap(),
            Shows::Maintenance => maintenance_certificate(&[], &["127.0.0.1".parse().unwrap()]).unwrap(),
        };
        std::fs::write(path.join("config.yaml"), "# not parsed: only that there is one counts\n").unwrap();
        std::fs::write(path.join("ca.crt"), &ca.cert_pem).unwrap();
        write_leaf(path, &leaf);
        let machined = start_machined(path, maintenance);
        wait_for_socket(&socket(path));
        let apid = start_apid(path, maintenance);
        let address = wait_for_text(&path.join("address"));
        Self { folder, machined, apid, address, ca }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A context whose certificate has this role.
    pub(crate) fn context(&self, role: &str) -> Context {
        let leaf = self.ca.issue(&request("tester", role, Usage::Client)).unwrap();
        self.context_of(&leaf, &self.ca.cert_pem)
    }

    /// A context with this certificate, which trusts this CA.
    pub(crate) fn context_of(&self, leaf: &Leaf, ca_pem: &str) -> Context {
        Context::new(vec![self.address.clone()], ca_pem, &leaf.cert_pem, leaf.key_pem.expose())
    }

    /// A connection with this role.
    pub(crate) async fn client(&self, role: &str) -> Client {
        Client::connect(&self.context(role), &self.address, options()).await.unwrap()
    }

    /// What is wrong for somebody with this context.
    pub(crate) async fn problem(&self, context: &Context) -> Problem {
        problem(Client::connect(context, &self.address, options()).await).await
    }

    /// machined is killed, as if it crashed.
    pub(crate) fn kill_machined(&mut self) {
        self.machined.kill().unwrap();
        self.machined.wait().unwrap();
    }

    /// machined comes back.
    pub(crate) fn restart_machined(&mut self) {
        self.machined = start_machined(self.path(), false);
    }

    /// Replaces the node's certificate while apid runs.
    pub(crate) fn replace_certificate(&self) -> Leaf {
        let leaf = self.ca.issue(&request("renewed", "", Usage::Server)).unwrap();
        write_leaf(self.path(), &leaf);
        leaf
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in [&mut self.apid, &mut self.machined] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A call that everybody with a role may make.
pub(crate) async fn version(client: &Client) -> Result<v1::VersionResponse, ClientError> {
    let answer = client.machine().version(v1::VersionRequest {}).await;
    answer.map(tonic::Response::into_inner).map_err(|status| client.error(&status))
}

/// The problem of a connection, which may show only at its first call.
pub(crate) async fn problem(connected: Result<Client, ClientError>) -> Problem {
    let error = match connected {
        Err(error) => error,
        Ok(client) => version(&client).await.expect_err("this client must be refused"),
    };
    error.problem
}

pub(crate) fn options() -> Options {
    Options { connect_timeout: Duration::from_secs(20), call_timeout: Some(Duration::from_secs(20)) }
}

/// A leaf for loopback, valid for a day.
pub(crate) fn request(name: &str, role: &str, usage: Usage) -> LeafRequest {
    LeafRequest {
        common_name: name.to_owned(),
        organizations: Some(role.to_owned()).filter(|role| !role.is_empty()).into_iter().collect(),
        dns_names: Vec::new(),
        ips: vec!["127.0.0.1".parse().unwrap()],
        usage,
        lifetime: DAY,
        key: KeyType::Ed25519,
    }
}

fn write_leaf(folder: &Path, leaf: &Leaf) {
    std::fs::write(folder.join("tls.key"), leaf.key_pem.expose()).unwrap();
    std::fs::write(folder.join("tls.crt"), &leaf.cert_pem).unwrap();
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("machined.sock")
}

fn start_machined(folder: &Path, maintenance: bool) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_machined"));
    command.arg("native").arg(socket(folder));
    if !maintenance {
        command.arg(folder.join("config.yaml"));
    }
    spawn(&mut command, &folder.join("machined.log"))
}

fn start_apid(folder: &Path, maintenance: bool) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_machined"));
    command.arg0("apid").args(["--listen", "127.0.0.1:0", "--pki"]).arg(folder);
    command.arg("--socket").arg(socket(folder)).arg("--address-file").arg(folder.join("address"));
    if maintenance {
        command.arg("--maintenance");
    }
    spawn(&mut command, &folder.join("apid.log"))
}

fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = std::fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// Until machined listens: apid would tell the first callers that it is not there yet.
fn wait_for_socket(path: &Path) {
    let start = Instant::now();
    while std::os::unix::net::UnixStream::connect(path).is_err() {
        assert!(start.elapsed() < PATIENCE, "nobody listens at {}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wait_for_text(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if !text.is_empty() => return text,
            _ if start.elapsed() > PATIENCE => panic!("{} was not written", path.display()),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Try until it works: for what takes a moment by design.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
