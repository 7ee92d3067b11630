//! A process that shall run, and how.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use corten_store::Kind;
use serde::{Deserialize, Serialize};

/// A process that the supervisor keeps running; the id is the name of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    /// Program, absolute, and its arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// User and group of this number; root when `None`.
    pub user: Option<u32>,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Names such as `CAP_NET_ADMIN`: exactly these. All when `None`.
    pub capabilities: Option<Vec<String>>,
    /// Whether the process can never gain privileges again.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: Option<SeccompProfile>,
    /// Limits of the cgroup `system/<id>`.
    pub cgroup: CgroupLimits,
    /// -1000 (never killed when memory runs out) to 1000.
    pub oom_score_adj: i16,
    /// -20 to 19.
    pub nice: Option<i32>,
    /// Largest number of open files.
    pub open_files: Option<u64>,
    /// Directories that are made before each start.
    pub directories: Vec<Directory>,
    /// What must be there before the start.
    pub requires: Vec<Requirement>,
    /// How to tell that the service is ready; without it, it is ready as soon as it runs.
    pub readiness: Option<Probe>,
    /// How to tell that a ready service still works.
    pub health: Option<HealthCheck>,
    /// When to start it again.
    pub restart: RestartPolicy,
    /// Shortest and longest pause before a restart, in milliseconds.
    pub backoff_ms: (u64, u64),
    /// How many failures within ten minutes are accepted before the service counts as failing. It is still restarted.
    pub failure_budget: u32,
    /// Signal that asks the service to end.
    pub stop_signal: StopSignal,
    /// Time to end before it is killed, in milliseconds.
    pub stop_timeout_ms: u64,
    /// Whether it shall run.
    pub enabled: bool,
    /// Digest of whatever the process read at its start; a change restarts it.
    pub restart_on: String,
    /// Whether everything in the cgroup ends with the service. `false`: only the process does, as for containerd, whose
    /// containers go on.
    pub kill_whole_cgroup: bool,
    /// Terminal for input and output, instead of the log.
    pub tty: Option<String>,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            environment: BTreeMap::new(),
            user: None,
            groups: Vec::new(),
            capabilities: None,
            no_new_privileges: false,
            seccomp: None,
            cgroup: CgroupLimits::default(),
            oom_score_adj: 0,
            nice: None,
            open_files: None,
            directories: Vec::new(),
            requires: Vec::new(),
            readiness: None,
            health: None,
            restart: RestartPolicy::Always,
            backoff_ms: (250, 15_000),
            failure_budget: 5,
            stop_signal: StopSignal::Term,
            stop_timeout_ms: 10_000,
            enabled: true,
            restart_on: String::new(),
            kill_whole_cgroup: true,
            tty: None,
        }
    }
}

impl Kind for ServiceSpec {
    const NAME: &'static str = "ServiceSpec";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &["servicespec", "servicespecs"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("ENABLED", "/enabled"), ("USER", "/user"), ("COMMAND", "/command")]
    }
}

/// Limits of a cgroup; `None` is no limit of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupLimits {
    /// Bytes of memory.
    pub memory_max: Option<u64>,
    /// Number of processes and threads.
    pub pids_max: Option<u64>,
    /// Share of the processor, 1 to 10000; others have 100.
    pub cpu_weight: Option<u32>,
}

/// A directory that is made before the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner, user and group.
    pub uid: u32,
}

/// What must be there before a service starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// This service is ready.
    Service(String),
    /// This path exists.
    Path(String),
    /// This resource exists.
    Resource {
        /// Name of the kind.
        kind: String,
        /// Id within the kind.
        id: String,
    },
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(id) => write!(f, "service {id}"),
            Self::Path(path) => write!(f, "path {path}"),
            Self::Resource { kind, id } => write!(f, "{kind} {id}"),
        }
    }
}

/// A question to a running service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A TCP connection is accepted.
    Tcp {
        /// Where.
        address: SocketAddr,
    },
    /// A connection to the socket is accepted.
    Unix {
        /// Where.
        path: String,
    },
    /// The path exists.
    Path {
        /// Where.
        path: String,
    },
    /// `GET` answers 2xx.
    Http {
        /// Where.
        address: SocketAddr,
        /// Path and query.
        path: String,
    },
    /// `GET` over TLS answers 2xx.
    Https {
        /// Where; its IP address must be in the certificate.
        address: SocketAddr,
        /// Path and query.
        path: String,
        /// PEM file with the CA.
        ca_file: String,
    },
    /// The server answers the beginning of a TLS session, in whatever way. A connection alone the kernel accepts, also
    /// for a process that hangs.
    Tls {
        /// Where.
        address: SocketAddr,
    },
    /// The gRPC server answers a question about its health, in whatever way.
    Grpc {
        /// Where.
        path: String,
    },
}

/// How to tell that a ready service still works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The question.
    pub probe: Probe,
    /// Pause between two questions, in milliseconds.
    pub interval_ms: u64,
    /// Time for an answer, in milliseconds.
    pub timeout_ms: u64,
    /// How many failures in a row make the service unhealthy; twice as many restart it.
    pub failures: u32,
}

/// When a service that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Whatever the reason.
    #[default]
    Always,
    /// When it ended with another exit code than 0, or by a signal.
    OnFailure,
    /// Never.
    Never,
}

/// System call filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeccompProfile {
    /// Refuses what no ordinary service calls: mounting, tracing, modules, the clock.
    #[default]
    Default,
}

/// Signal that asks a service to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum StopSignal {
    /// `SIGTERM`.
    #[default]
    #[serde(rename = "SIGTERM")]
    Term,
    /// `SIGINT`.
    #[serde(rename = "SIGINT")]
    Int,
    /// `SIGQUIT`.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// `SIGKILL`.
    #[serde(rename = "SIGKILL")]
    Kill,
}
