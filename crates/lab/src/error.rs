//! What can go wrong with a machine in the lab.

use camino::Utf8PathBuf;
use std::io;
use std::time::Duration;

/// Failure of an action on a node or a cluster.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file of the lab could not be read, written or made.
    #[error("{action} {path}")]
    File {
        /// What was tried: "read", "write", ...
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The image folder lacks a file.
    #[error("{path} is missing: build the image with `cargo xtask image`")]
    NoImage {
        /// What was looked for.
        path: Utf8PathBuf,
    },
    /// A program could not be started.
    #[error("start {program}: is the Debian package {package} installed?")]
    NoProgram {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed: {output}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it said on stderr.
        output: String,
    },
    /// QEMU's monitor could not be reached or broke off.
    #[error("talk to QEMU's monitor at {path}")]
    Monitor {
        /// The socket.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// QEMU refused a command.
    #[error("QEMU refused {command}: {message}")]
    Refused {
        /// The QMP command.
        command: String,
        /// QEMU's words.
        message: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {} s", after.as_secs())]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// The node has no process any more.
    #[error("node {name} is not running; its console is in {console}")]
    NotRunning {
        /// The node.
        name: String,
        /// Its console log.
        console: Utf8PathBuf,
    },
    /// `create` on a name that is in use.
    #[error("cluster {name} exists: remove it with `osctl cluster destroy {name}`, or choose another name")]
    Exists {
        /// The cluster.
        name: String,
    },
    /// A name that has no cluster.
    #[error("there is no cluster {name}; `osctl cluster show` lists those that exist")]
    NoCluster {
        /// The cluster.
        name: String,
    },
    /// A name that cannot be a folder or a host name.
    #[error("{name} is no cluster name: use a-z, 0-9 and -, at most 40 characters, beginning with a letter")]
    BadName {
        /// What was given.
        name: String,
    },
    /// The secrets or the config of a cluster could not be made.
    #[error("make the config of cluster {name}")]
    Config {
        /// The cluster.
        name: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No node can be described by that.
    #[error("{0}")]
    Unsupported(String),
}

impl LabError {
    pub(crate) fn file(action: &'static str, path: &camino::Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
