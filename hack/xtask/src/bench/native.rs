//! machined and apid as two processes of this machine, with certificates of their own: the API without a node.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use corten_client::{Context, Contexts};
use corten_pki::{Ca, KeyType, LeafRequest, Usage};

const PATIENCE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Both processes; they end with it.
#[derive(Debug)]
pub(super) struct Native {
    folder: tempfile::TempDir,
    machined: Child,
    apid: Child,
}

impl Native {
    /// Starts both from one program.
    pub(super) fn start(program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        let ca = Ca::generate("bench", KeyType::Ed25519)?;
        let node = ca.issue(&request("node", "", Usage::Server))?;
        let admin = ca.issue(&request("bench", "os:admin", Usage::Client))?;
        fs::write(path.join("ca.crt"), &ca.cert_pem)?;
        fs::write(path.join("tls.crt"), &node.cert_pem)?;
        fs::write(path.join("tls.key"), node.key_pem.expose())?;
        fs::write(path.join("config.yaml"), "# only that there is one counts\n")?;

        let socket = path.join("machined.sock");
        let mut machined = Command::new(program);
        machined.arg("native").arg(&socket).arg(path.join("config.yaml"));
        let machined = spawn(&mut machined, &path.join("machined.log"))?;
        let mut apid = Command::new(program);
        apid.arg0("apid").args(["--listen", "127.0.0.1:0", "--pki"]).arg(path);
        apid.arg("--socket").arg(&socket).arg("--address-file").arg(path.join("address"));
        let apid = spawn(&mut apid, &path.join("apid.log"))?;

        let address = wait_for(&path.join("address"))?;
        let context = Context::new(vec![address], &ca.cert_pem, &admin.cert_pem, admin.key_pem.expose());
        let native = Self { folder, machined, apid };
        let mut contexts = Contexts::default();
        contexts.current = contexts.add("bench", context);
        contexts.save(&native.contexts_file())?;
        Ok(native)
    }

    /// A contexts file that leads here, for `CORTEN_CONFIG`.
    pub(super) fn contexts_file(&self) -> PathBuf {
        self.folder.path().join("osctl.yaml")
    }

    /// Name and pid of both.
    pub(super) fn processes(&self) -> [(&'static str, u32); 2] {
        [("machined", self.machined.id()), ("apid", self.apid.id())]
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        for child in [&mut self.apid, &mut self.machined] {
            // It may have ended by itself, which the measurement has then noticed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn request(name: &str, role: &str, usage: Usage) -> LeafRequest {
    LeafRequest {
        common_name: name.to_owned(),
        organizations: Some(role.to_owned()).filter(|role| !role.is_empty()).into_iter().collect(),
        dns_names: Vec::new(),
        ips: vec![std::net::Ipv4Addr::LOCALHOST.into()],
        usage,
        lifetime: DAY,
        key: KeyType::Ed25519,
    }
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let log = File::create(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("start {}", command.get_program().display()))
}

fn wait_for(path: &Path) -> Result<String> {
    let start = Instant::now();
    loop {
        if let Some(text) = fs::read_to_string(path).ok().filter(|text| !text.is_empty()) {
            return Ok(text);
        }
        ensure!(start.elapsed() < PATIENCE, "apid did not write {}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}
