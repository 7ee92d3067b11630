//! A named cluster in a folder of its own.
//!
//! `cluster.json` (the [`State`]), `controlplane.yaml` (the config, with its secrets), `osctl.yaml` (a contexts
//! file with the administrator's certificate), `secrets.json` and a folder for each node. A folder whose state says `creating`
//! belongs to a run that was killed, and is removed when its name is wanted again.

mod api;
mod create;
mod install;
mod material;
mod ready;

pub use create::{Options, create, prepare};
pub use ready::{restore, save, snapshot_dir};

use crate::node::write_private;
use crate::spec::Forward;
use crate::{LabError, Node, leftovers, state_dir};
use camino::{Utf8Path, Utf8PathBuf};
use corten_client::{Context, Contexts};
use corten_constants::ports;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

/// Whether a cluster was made to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Being made; or left behind by a run that was killed.
    Creating,
    /// Whole.
    Complete,
}

/// What is kept about a cluster in `cluster.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Its name, also that of its context.
    pub name: String,
    /// Whether it is whole.
    pub phase: Phase,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// Folders of its nodes, in order; the first one is the control plane.
    pub nodes: Vec<String>,
}

/// A cluster on this machine.
#[derive(Debug, Clone)]
pub struct Cluster {
    dir: Utf8PathBuf,
    state: State,
    nodes: Vec<Node>,
}

/// Where clusters live unless told otherwise.
#[must_use]
pub fn default_root() -> Utf8PathBuf {
    state_dir().join("clusters")
}

/// Every whole cluster below `root`, by name.
///
/// # Errors
/// When `root` exists and cannot be read.
pub fn show(root: &Utf8Path) -> Result<Vec<Cluster>, LabError> {
    let entries = match root.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LabError::file("read", root)(error)),
    };
    let mut found: Vec<Cluster> = entries
        .filter_map(|entry| Cluster::open(entry.ok()?.path()).ok())
        .filter(|cluster| cluster.state.phase == Phase::Complete)
        .collect();
    found.sort_by(|a, b| a.state.name.cmp(&b.state.name));
    Ok(found)
}

/// One cluster by name.
///
/// # Errors
/// When there is none of that name.
pub fn find(root: &Utf8Path, name: &str) -> Result<Cluster, LabError> {
    check_name(name)?;
    Cluster::open(&root.join(name)).map_err(|_| LabError::NoCluster { name: name.to_owned() })
}

/// Kills the machines of a cluster, whole or not, and removes its folder.
///
/// # Errors
/// When there is none of that name or files stay behind.
pub fn destroy(root: &Utf8Path, name: &str) -> Result<(), LabError> {
    check_name(name)?;
    let dir = root.join(name);
    if !dir.exists() {
        return Err(LabError::NoCluster { name: name.to_owned() });
    }
    leftovers::remove(&dir)
}

impl Cluster {
    /// The cluster in a folder.
    ///
    /// # Errors
    /// When the folder holds none.
    pub fn open(dir: &Utf8Path) -> Result<Self, LabError> {
        let path = dir.join(STATE);
        let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
        let state: State =
            serde_json::from_str(&text).map_err(io::Error::from).map_err(LabError::file("read", &path))?;
        let nodes = state.nodes.iter().map(|name| Node::open(&dir.join(name))).collect::<Result<_, _>>()?;
        Ok(Self { dir: dir.to_owned(), state, nodes })
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// What is kept about it.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The control-plane node.
    #[must_use]
    pub fn control_plane(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// Address of its API on this machine.
    #[must_use]
    pub fn api(&self) -> Option<String> {
        Some(format!("127.0.0.1:{}", self.control_plane()?.spec().host_port(ports::API)?))
    }

    /// URL of its Kubernetes API server on this machine.
    #[must_use]
    pub fn kubernetes(&self) -> Option<String> {
        let port = self.control_plane()?.spec().host_port(ports::KUBE_APISERVER)?;
        Some(format!("https://127.0.0.1:{port}"))
    }

    /// Its contexts file, for `CORTEN_CONFIG`.
    #[must_use]
    pub fn contexts_file(&self) -> Utf8PathBuf {
        self.dir.join(CONTEXTS)
    }

    /// The config of its control plane.
    #[must_use]
    pub fn config_file(&self) -> Utf8PathBuf {
        self.dir.join(CONFIG)
    }

    /// The secrets, from which more certificates can be made.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn secrets(&self) -> Result<corten_pki::SecretsBundle, LabError> {
        let path = self.dir.join(SECRETS);
        let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
        serde_json::from_str(&text).map_err(io::Error::from).map_err(LabError::file("read", &path))
    }

    /// The administrator's context.
    ///
    /// # Errors
    /// When the cluster's contexts file cannot be read.
    pub fn context(&self) -> Result<Context, LabError> {
        let name = self.state.name.clone();
        let contexts = Contexts::load(self.contexts_file().as_std_path());
        let context = contexts.and_then(|all| all.get(None).map(|(_, context)| context.clone()));
        context.map_err(|source| LabError::Config { name, source: source.into() })
    }

    fn write_state(&self) -> Result<(), LabError> {
        let path = self.dir.join(STATE);
        let text = serde_json::to_string_pretty(&self.state).map_err(io::Error::from);
        write_private(&path, &text.map_err(LabError::file("write", &path))?)
    }

    fn write_contexts(&self, context: Context) -> Result<(), LabError> {
        let name = self.state.name.clone();
        let mut contexts = Contexts::default();
        contexts.current = contexts.add(&name, context);
        let saved = contexts.save(self.contexts_file().as_std_path());
        saved.map_err(|source| LabError::Config { name, source: source.into() })
    }
}

const STATE: &str = "cluster.json";
const CONTEXTS: &str = "osctl.yaml";
const CONFIG: &str = "controlplane.yaml";
const SECRETS: &str = "secrets.json";

/// Ports of loopback for a new node: its API, its Kubernetes API server, and more ports of the guest.
fn forwards(wanted: &[Forward]) -> Result<Vec<Forward>, LabError> {
    let given = |guest| wanted.iter().any(|forward| forward.guest == guest);
    let missing: Vec<u16> = [ports::API, ports::KUBE_APISERVER].into_iter().filter(|p| !given(*p)).collect();
    let free = crate::free_ports(missing.len())?;
    let more = missing.into_iter().zip(free).map(|(guest, host)| Forward { host, guest });
    Ok(wanted.iter().copied().chain(more).collect())
}

/// The name becomes a folder, a context and the beginning of host names.
fn check_name(name: &str) -> Result<(), LabError> {
    let letter = |byte: u8| byte.is_ascii_lowercase();
    let good = |byte: u8| letter(byte) || byte.is_ascii_digit() || byte == b'-';
    let fits = name.len() <= 40 && name.bytes().all(good) && !name.ends_with('-');
    if fits && name.bytes().next().is_some_and(letter) {
        Ok(())
    } else {
        Err(LabError::BadName { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_leave_the_folder_is_refused() {
        assert!(check_name("demo-2").is_ok());
        for bad in ["", "..", "a/b", "-a", "a-", "A", "1a", &"a".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wanted_port_is_kept_and_the_others_are_found() {
        let wanted = Forward { host: 6443, guest: ports::KUBE_APISERVER };
        let all = forwards(&[wanted]).unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.contains(&wanted));
        assert_eq!(all[1].guest, ports::API);
    }

    #[test]
    fn there_is_nothing_to_show_before_the_first_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap().join("none");
        assert!(show(&root).unwrap().is_empty());
        assert!(matches!(find(&root, "demo").unwrap_err(), LabError::NoCluster { .. }));
        assert!(matches!(destroy(&root, "demo").unwrap_err(), LabError::NoCluster { .. }));
    }
}
