//! What to run, as whom and within which bounds: plain data.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
pub use nix::sys::resource::Resource;

use super::{Capability, Seccomp};

/// A program with everything that is set up between fork and exec.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// Absolute path of the program.
    pub program: Utf8PathBuf,
    /// Arguments, without the program's own name.
    pub args: Vec<String>,
    /// Name to give as `argv[0]` instead of the program's path.
    pub arg0: Option<String>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// User to become; `None` stays root.
    pub user: Option<User>,
    /// `None` keeps what the user has by itself; `Some` leaves exactly these in every set.
    pub capabilities: Option<Vec<Capability>>,
    /// Directory of the cgroup (v2) to start in. It must exist.
    pub cgroup: Option<Utf8PathBuf>,
    /// -1000 (never killed for memory) to 1000.
    pub oom_score_adj: i16,
    /// Refuse privileges from setuid files and file capabilities.
    pub no_new_privs: bool,
    /// System call filter. It implies `no_new_privs`.
    pub seccomp: Option<Seccomp>,
    /// Working directory; `/` when absent.
    pub working_dir: Option<Utf8PathBuf>,
    /// Where standard output and standard error go.
    pub output: Output,
    /// Resource limits that differ from PID 1's.
    pub rlimits: Vec<Rlimit>,
    /// Scheduling priority, -20 to 19; `None` keeps PID 1's.
    pub nice: Option<i32>,
    /// Start in a mount namespace of its own that sees our mounts, but whose mounts we do not see.
    pub private_mounts: bool,
}

impl Command {
    /// A command that runs `program` as root, without arguments, output dropped.
    pub fn new(program: impl Into<Utf8PathBuf>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets where the output goes.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }
}

/// Numeric identity of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups; everything else is dropped.
    pub groups: Vec<u32>,
}

/// Destination of standard output and standard error. Standard input is `/dev/null`, or the terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Output {
    /// One pipe for both, handed out as `Child::output`.
    Pipe,
    /// Dropped.
    #[default]
    Null,
    /// The same as PID 1's.
    Inherit,
    /// A terminal, opened without blocking, as standard input too.
    Tty(Utf8PathBuf),
}

/// One resource limit.
#[derive(Debug, Clone, Copy)]
pub struct Rlimit {
    /// Which.
    pub resource: Resource,
    /// What is enforced.
    pub soft: u64,
    /// Up to where the process may raise it.
    pub hard: u64,
}
