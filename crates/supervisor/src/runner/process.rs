//! The process of a service, its cgroup and its output.

use std::error::Error as _;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use corten_resources::runtime::{Directory, ServiceSpec};
use corten_sys::cgroup::{Cgroup, CgroupError};
use corten_sys::process::{Child, Exit, Signal, SpawnError};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::Environment;
use crate::spec::{self, SpecError};
use crate::{LogWriter, Options};

/// How long the kernel may take to end what was left in a cgroup.
const LEFTOVERS: Duration = Duration::from_secs(2);

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("the specification is wrong")]
    Spec(#[from] SpecError),
    #[error("make directory {path}")]
    Directory { path: String, source: io::Error },
    #[error("prepare its cgroup")]
    Cgroup(#[from] CgroupError),
    #[error("processes of an earlier run are still there")]
    Leftovers,
    #[error("the preparation was broken off")]
    BrokenOff,
    #[error("start it")]
    Spawn(#[from] SpawnError),
}

/// At most one process.
#[derive(Debug)]
pub(super) struct Process {
    child: Option<Child>,
    cgroup: Option<Cgroup>,
    /// Kills for want of memory in the cgroup before this process.
    oom_kills: u64,
}

impl Process {
    pub(super) fn new(id: &str, options: &Options) -> Self {
        Self { child: None, cgroup: options.cgroup(id), oom_kills: 0 }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        Some(self.child.as_ref()?.pid)
    }

    /// Prepares the place and starts the process.
    pub(super) async fn start(
        &mut self,
        id: &str,
        spec: &ServiceSpec,
        environment: &Environment,
    ) -> Result<(), StartError> {
        let command = spec::command(spec, self.cgroup.as_ref().map(Cgroup::path))?;
        let (cgroup, specification) = (self.cgroup.clone(), spec.clone());
        let prepared = tokio::task::spawn_blocking(move || prepare(cgroup.as_ref(), &specification)).await;
        prepared.map_err(|_| StartError::BrokenOff)??;
        self.oom_kills = self.count_oom_kills();
        let mut child = environment.reaper.spawn(command).await?;
        if let Some(output) = child.output.take() {
            tokio::spawn(pump(output, environment.logs.writer(id)));
        }
        self.child = Some(child);
        Ok(())
    }

    /// Waits for the end of the process; forever when there is none.
    pub(super) async fn wait(&mut self) -> Exit {
        match &mut self.child {
            Some(child) => child.wait().await,
            None => std::future::pending().await,
        }
    }

    /// The process has ended: ends what it left behind. Tells whether it ended for want of memory.
    pub(super) fn ended(&mut self, spec: &ServiceSpec) -> bool {
        if let Some(child) = self.child.take()
            && spec.kill_whole_cgroup
        {
            self.kill_all(&child);
        }
        self.count_oom_kills() > self.oom_kills
    }

    fn count_oom_kills(&self) -> u64 {
        self.cgroup.as_ref().and_then(|cgroup| cgroup.oom_kills().ok()).unwrap_or(0)
    }

    /// Asks the process to end.
    pub(super) fn stop(&self, spec: &ServiceSpec) {
        if let Some(child) = &self.child {
            log_failure("ask a service to end", child.signal(spec::stop_signal(spec)));
        }
    }

    /// Ends the process.
    pub(super) fn kill(&self, spec: &ServiceSpec) {
        let Some(child) = &self.child else { return };
        if spec.kill_whole_cgroup {
            self.kill_all(child);
        }
        log_failure("kill a service", child.signal(Signal::SIGKILL));
    }

    pub(super) fn set_limits(&self, spec: &ServiceSpec) {
        if let (Some(cgroup), Some(_)) = (&self.cgroup, &self.child) {
            limit(cgroup, spec);
        }
    }

    /// Removes what was made for the service, as far as it is empty.
    pub(super) fn remove(&self) {
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.remove()
        {
            tracing::debug!(%error, "remove the cgroup of a service");
        }
    }

    fn kill_all(&self, child: &Child) {
        match &self.cgroup {
            Some(cgroup) => {
                if let Err(error) = cgroup.kill() {
                    tracing::debug!(%error, "kill the cgroup of a service");
                }
            }
            // The group is empty, and the signal fails, when nothing was left.
            None => drop(child.signal_group(Signal::SIGKILL)),
        }
    }
}

fn log_failure(what: &'static str, result: io::Result<()>) {
    // A process that has just ended cannot be signalled, and need not be.
    if let Err(error) = result
        && error.raw_os_error() != Some(NO_SUCH_PROCESS)
    {
        tracing::warn!(%error, "{what}");
    }
}

/// `ESRCH`.
const NO_SUCH_PROCESS: i32 = 3;

fn prepare(cgroup: Option<&Cgroup>, spec: &ServiceSpec) -> Result<(), StartError> {
    for directory in &spec.directories {
        make(directory).map_err(|source| StartError::Directory { path: directory.path.clone(), source })?;
    }
    let Some(cgroup) = cgroup else { return Ok(()) };
    cgroup.create()?;
    if spec.kill_whole_cgroup && cgroup.populated()? {
        end_leftovers(cgroup)?;
    }
    limit(cgroup, spec);
    Ok(())
}

/// A service that cannot be limited is better than none.
fn limit(cgroup: &Cgroup, spec: &ServiceSpec) {
    if let Err(error) = cgroup.set_limits(&spec::limits(spec)) {
        tracing::warn!(%error, source = error.source(), "set the limits of a service");
    }
}

fn make(directory: &Directory) -> io::Result<()> {
    fs::create_dir_all(&directory.path)?;
    chown(&directory.path, Some(directory.uid), Some(directory.uid))?;
    fs::set_permissions(&directory.path, fs::Permissions::from_mode(directory.mode))
}

/// Runs on a thread of its own, so it may sleep.
fn end_leftovers(cgroup: &Cgroup) -> Result<(), StartError> {
    cgroup.kill()?;
    let deadline = Instant::now() + LEFTOVERS;
    while cgroup.populated()? {
        if Instant::now() >= deadline {
            return Err(StartError::Leftovers);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Moves output into the log until every process that has the pipe is gone.
async fn pump(mut output: pipe::Receiver, mut log: LogWriter) {
    let mut buffer = vec![0; 8192];
    while let Ok(count) = output.read(&mut buffer).await {
        match buffer.get(..count) {
            Some(bytes) if !bytes.is_empty() => log.write(bytes),
            _ => break,
        }
    }
}
