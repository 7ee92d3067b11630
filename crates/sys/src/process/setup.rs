//! What the child does between fork and exec.
//!
//! PID 1 has threads, so here only system calls are allowed: no allocation, no lock. Everything is prepared before the
//! fork. A step that fails writes its number into a pipe, so that the parent can name it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::resource::setrlimit;
use nix::unistd::{Gid, Uid};

use super::capability::{self, Mask};
use super::{Command, Rlimit, Seccomp, SpawnError, User};

/// Names of the steps, in order; the index is what travels through the pipe.
const STEPS: [&str; 9] = [
    "join the cgroup",
    "start a session",
    "make the mounts private",
    "set the score of the out-of-memory killer",
    "set the priority",
    "set the resource limits",
    "limit the capabilities",
    "become the user",
    "apply the system call filter",
];

/// Everything that the child needs, ready made.
pub(super) struct Setup {
    cgroup: Option<File>,
    private_mounts: bool,
    oom_score: Option<File>,
    oom_score_text: Vec<u8>,
    nice: Option<i32>,
    rlimits: Vec<Rlimit>,
    capabilities: Option<Mask>,
    user: Option<(Uid, Gid, Vec<Gid>)>,
    no_new_privs: bool,
    seccomp: Option<Seccomp>,
    failed_step: File,
}

/// The parent's end of the pipe.
pub(super) struct FailedStep(File);

impl Setup {
    /// Opens and converts everything ahead of the fork.
    pub(super) fn prepare(command: &Command) -> Result<(Self, FailedStep), SpawnError> {
        let (reader, writer) = pipe().map_err(|source| SpawnError::Pipe { source })?;
        let cgroup = command.cgroup.as_ref().map(|dir| {
            let path = dir.join("cgroup.procs");
            OpenOptions::new()
                .write(true)
                .open(&path)
                .map_err(|source| SpawnError::Cgroup { path: dir.clone(), source })
        });
        let setup = Self {
            cgroup: cgroup.transpose()?,
            private_mounts: command.private_mounts,
            // Resolved in the child: the path names whoever opens it.
            oom_score: None,
            oom_score_text: command.oom_score_adj.to_string().into_bytes(),
            nice: command.nice,
            rlimits: command.rlimits.clone(),
            capabilities: command.capabilities.as_deref().map(Mask::of),
            user: command.user.as_ref().map(identity),
            no_new_privs: command.no_new_privs,
            seccomp: command.seccomp.clone(),
            failed_step: File::from(writer),
        };
        Ok((setup, FailedStep(File::from(reader))))
    }

    /// Runs every step in the child.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let steps: [fn(&mut Self) -> io::Result<()>; STEPS.len()] = [
            Self::join_cgroup,
            |_| Ok(nix::unistd::setsid().map(drop)?),
            Self::make_mounts_private,
            Self::set_oom_score,
            Self::set_nice,
            Self::set_rlimits,
            Self::limit_capabilities,
            Self::become_user,
            Self::confine,
        ];
        for (index, step) in (0_u8..).zip(steps) {
            if let Err(e) = step(self) {
                let _ = self.failed_step.write_all(&[index]);
                return Err(e);
            }
        }
        Ok(())
    }

    fn join_cgroup(&mut self) -> io::Result<()> {
        // "0" is the writer itself.
        self.cgroup.as_mut().map_or(Ok(()), |procs| procs.write_all(b"0"))
    }

    fn make_mounts_private(&mut self) -> io::Result<()> {
        if !self.private_mounts {
            return Ok(());
        }
        nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
        let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        Ok(nix::mount::mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?)
    }

    fn set_oom_score(&mut self) -> io::Result<()> {
        if self.oom_score_text == b"0" {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open("/proc/self/oom_score_adj")?;
        self.oom_score.insert(file).write_all(&self.oom_score_text)
    }

    fn set_nice(&mut self) -> io::Result<()> {
        match self.nice {
            Some(nice) => Ok(rustix::process::setpriority_process(None, nice)?),
            None => Ok(()),
        }
    }

    fn set_rlimits(&mut self) -> io::Result<()> {
        for limit in &self.rlimits {
            setrlimit(limit.resource, limit.soft, limit.hard)?;
        }
        Ok(())
    }

    fn limit_capabilities(&mut self) -> io::Result<()> {
        self.capabilities.map_or(Ok(()), capability::limit_bounding_set)
    }

    fn become_user(&mut self) -> io::Result<()> {
        if let Some((uid, gid, groups)) = &self.user {
            if self.capabilities.is_some() {
                capability::keep_across_setuid()?;
            }
            nix::unistd::setgroups(groups)?;
            nix::unistd::setresgid(*gid, *gid, *gid)?;
            nix::unistd::setresuid(*uid, *uid, *uid)?;
        }
        self.capabilities.map_or(Ok(()), capability::set_all)
    }

    fn confine(&mut self) -> io::Result<()> {
        if self.no_new_privs {
            rustix::thread::set_no_new_privs(true)?;
        }
        self.seccomp.as_ref().map_or(Ok(()), Seccomp::apply)
    }
}

impl FailedStep {
    /// Name of the step that failed, if one did. The child's end must be closed by now, else this would wait for it.
    pub(super) fn name(mut self) -> Option<&'static str> {
        let mut index = [0_u8];
        self.0.read_exact(&mut index).ok()?;
        STEPS.get(usize::from(index[0])).copied()
    }
}

/// A pipe that does not survive exec.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

fn identity(user: &User) -> (Uid, Gid, Vec<Gid>) {
    let groups = user.groups.iter().copied().map(Gid::from_raw).collect();
    (Uid::from_raw(user.uid), Gid::from_raw(user.gid), groups)
}
