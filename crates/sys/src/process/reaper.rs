//! The owner of every child.
//!
//! A thread of its own reaps, woken by SIGCHLD and, should one get lost, once a second. As PID 1 or subreaper it takes
//! whatever has ended, known or orphaned; anywhere else it only asks about children of its own, so that it can live in
//! a test beside other users of processes. Spawning holds the read half of the lock whose write half reaping takes: a
//! child cannot be reaped before it is known.

#![expect(unsafe_code, reason = "the standard library marks pre_exec as unsafe")]

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use camino::Utf8PathBuf;
use nix::sys::signal::Signal;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait, waitpid};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::setup::{Setup, pipe as cloexec_pipe};
use super::{Command, Output};

/// How often to look without being told.
const POLL: Duration = Duration::from_secs(1);

/// Whether this process has a reaper that takes every child.
static REAPS_EVERYTHING: AtomicBool = AtomicBool::new(false);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// Whether it is exit code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(name) => write!(f, "killed by {}", name.as_str()),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No pipe.
    #[error("make a pipe")]
    Pipe {
        /// Cause.
        source: io::Error,
    },
    /// The cgroup is not there, or this is no cgroup v2.
    #[error("open cgroup {path}")]
    Cgroup {
        /// The cgroup's directory.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The terminal cannot be opened.
    #[error("open terminal {path}")]
    Terminal {
        /// Device node.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A step between fork and exec failed.
    #[error("{step} for {program}")]
    Setup {
        /// What was being done.
        step: &'static str,
        /// For which program.
        program: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The program cannot be executed.
    #[error("execute {program}")]
    Exec {
        /// The program.
        program: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The thread that forks went away.
    #[error("the spawning thread stopped")]
    Stopped,
}

/// Starts and reaps processes. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Reaper {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Read: a fork is under way. Write: children are being reaped.
    gate: RwLock<()>,
    children: Mutex<HashMap<i32, watch::Sender<Option<Exit>>>>,
    orphans: AtomicU64,
    wake: SyncSender<()>,
    reaps_everything: bool,
}

/// A running, or ended, child.
#[derive(Debug)]
pub struct Child {
    /// Process id, also of its session and process group.
    pub pid: i32,
    /// What it writes, when [`Output::Pipe`] was asked for.
    pub output: Option<pipe::Receiver>,
    pidfd: OwnedFd,
    exit: watch::Receiver<Option<Exit>>,
}

impl Reaper {
    /// Starts the thread. It must be called within a tokio runtime, once per process.
    pub fn start() -> io::Result<Self> {
        let is_init = std::process::id() == 1;
        let reaps_everything = is_init || rustix::process::child_subreaper()?.is_some();
        if reaps_everything && REAPS_EVERYTHING.swap(true, Ordering::Relaxed) {
            // A second one would take the first one's children, and keep their exits to itself.
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Self::with_mode(reaps_everything)
    }

    fn with_mode(reaps_everything: bool) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let mut signals = signal(SignalKind::child())?;
        let shared = Arc::new(Shared {
            gate: RwLock::new(()),
            children: Mutex::default(),
            orphans: AtomicU64::new(0),
            wake,
            reaps_everything,
        });
        let weak = Arc::downgrade(&shared);
        let forward = Arc::downgrade(&shared);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let Some(shared) = forward.upgrade() else { break };
                // A full channel already holds a wake-up.
                let _ = shared.wake.try_send(());
            }
        });
        std::thread::Builder::new().name("reaper".into()).spawn(move || {
            while wait_for_wake(&woken) {
                match weak.upgrade() {
                    Some(shared) => shared.reap(),
                    None => break,
                }
            }
        })?;
        Ok(Self { shared })
    }

    /// Starts a process. The fork happens on a blocking thread.
    pub async fn spawn(&self, command: Command) -> Result<Child, SpawnError> {
        let shared = Arc::clone(&self.shared);
        let started = tokio::task::spawn_blocking(move || shared.spawn(&command)).await;
        let (mut child, output) = started.map_err(|_| SpawnError::Stopped)??;
        if let Some(fd) = output {
            let receiver = pipe::Receiver::from_owned_fd(fd).map_err(|source| SpawnError::Pipe { source })?;
            child.output = Some(receiver);
        }
        Ok(child)
    }

    /// How many processes that nobody here started were reaped.
    pub fn orphans_reaped(&self) -> u64 {
        self.shared.orphans.load(Ordering::Relaxed)
    }
}

impl Child {
    /// Waits for the end. It may be called again, and dropped halfway.
    pub async fn wait(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Code(-1)),
            // The reaper is gone, and with it the answer.
            Err(_) => Exit::Code(-1),
        }
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Signals this process, never another one that got its number.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        Ok(rustix::process::pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Signals its whole process group.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        Ok(nix::sys::signal::killpg(nix::unistd::Pid::from_raw(self.pid), signal)?)
    }
}

impl Shared {
    fn spawn(&self, command: &Command) -> Result<(Child, Option<OwnedFd>), SpawnError> {
        let (mut setup, failed_step) = Setup::prepare(command)?;
        let (mut std_command, reader) = std_command(command)?;
        // SAFETY: the closure makes system calls only; what it needs was allocated before.
        unsafe { std_command.pre_exec(move || setup.run()) };

        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let spawned = std_command.spawn();
        // It holds our copies of the pipes' other ends.
        drop(std_command);
        let child = spawned.map_err(|source| {
            let program = command.program.clone();
            match failed_step.name() {
                Some(step) => SpawnError::Setup { step, program, source },
                None => SpawnError::Exec { program, source },
            }
        })?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let (sender, exit) = watch::channel(None);
        self.children().insert(pid, sender);
        let pidfd = pidfd(pid).map_err(|source| {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
            SpawnError::Exec { program: command.program.clone(), source }
        })?;
        // It may have ended before it was registered.
        let _ = self.wake.try_send(());
        Ok((Child { pid, output: None, pidfd, exit }, reader))
    }

    fn reap(&self) {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if self.reaps_everything {
            while let Some((pid, exit)) = next_ended(None) {
                self.report(pid, exit);
            }
        } else {
            let known: Vec<i32> = self.children().keys().copied().collect();
            for pid in known {
                if let Some((pid, exit)) = Pid::from_raw(pid).and_then(|pid| next_ended(Some(pid))) {
                    self.report(pid, exit);
                }
            }
        }
    }

    fn report(&self, pid: i32, exit: Exit) {
        match self.children().remove(&pid) {
            Some(sender) => drop(sender.send_replace(Some(exit))),
            None => drop(self.orphans.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn children(&self) -> MutexGuard<'_, HashMap<i32, watch::Sender<Option<Exit>>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a reason to look; false when nobody can give one any more.
fn wait_for_wake(woken: &Receiver<()>) -> bool {
    !matches!(woken.recv_timeout(POLL), Err(RecvTimeoutError::Disconnected))
}

/// Reaps one ended child (this one, or any), if there is one.
fn next_ended(which: Option<Pid>) -> Option<(i32, Exit)> {
    loop {
        // Not nix's waitpid: it gives up on the status of a child that a real-time signal killed.
        // `waitpid(None)` would see children of our own process group only, and ours have sessions of their own.
        let ended = match which {
            Some(pid) => waitpid(Some(pid), WaitOptions::NOHANG),
            None => wait(WaitOptions::NOHANG),
        };
        return match ended {
            Ok(Some((pid, status))) => {
                let code = status.exit_status().map(Exit::Code);
                let exit = code.or_else(|| status.terminating_signal().map(Exit::Signal))?;
                Some((pid.as_raw_nonzero().get(), exit))
            }
            Err(Errno::INTR) => continue,
            _ => None,
        };
    }
}

fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// The standard library's command, with its streams, and our end of the output pipe.
fn std_command(command: &Command) -> Result<(std::process::Command, Option<OwnedFd>), SpawnError> {
    let mut std_command = std::process::Command::new(&command.program);
    std_command.args(&command.args).env_clear().envs(&command.env);
    std_command.current_dir(command.working_dir.as_deref().unwrap_or_else(|| "/".into()));
    if let Some(arg0) = &command.arg0 {
        std_command.arg0(arg0);
    }
    let mut reader = None;
    let [input, output, errors] = match &command.output {
        Output::Null => [Stdio::null(), Stdio::null(), Stdio::null()],
        Output::Inherit => [Stdio::null(), Stdio::inherit(), Stdio::inherit()],
        Output::Pipe => {
            let (read, write) = cloexec_pipe().map_err(|source| SpawnError::Pipe { source })?;
            reader = Some(read);
            let copy = write.try_clone().map_err(|source| SpawnError::Pipe { source })?;
            [Stdio::null(), Stdio::from(write), Stdio::from(copy)]
        }
        Output::Tty(path) => {
            terminal(path).map_err(|source| SpawnError::Terminal { path: path.clone(), source })?
        }
    };
    std_command.stdin(input).stdout(output).stderr(errors);
    Ok((std_command, reader))
}

/// Never the controlling terminal, and never waiting: nobody may be reading it.
fn terminal(path: &Utf8PathBuf) -> io::Result<[Stdio; 3]> {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    Ok([Stdio::from(file.try_clone()?), Stdio::from(file.try_clone()?), Stdio::from(file)])
}
