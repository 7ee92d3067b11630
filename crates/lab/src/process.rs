//! A QEMU process that is not our child: found by its pid file, recognised by its command line.
//!
//! QEMU detaches itself (`-daemonize`), so that a cluster outlives the `osctl` that made it. A pid may be
//! reused after the process ended, therefore nothing is signalled whose command line does not name the node's
//! own pid file.

use crate::LabError;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::time::Duration;

/// Processor time that a QEMU process used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct CpuTime {
    /// User plus system time.
    pub total: Duration,
}

/// The process behind a pid file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pid: i32,
    pidfile: Utf8PathBuf,
}

impl Process {
    /// The live QEMU that wrote this pid file, if there is one.
    pub(crate) fn find(pidfile: &Utf8Path) -> Option<Self> {
        let pid = std::fs::read_to_string(pidfile).ok()?.trim().parse().ok()?;
        let found = Self { pid, pidfile: pidfile.to_owned() };
        found.alive().then_some(found)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn alive(&self) -> bool {
        let cmdline = || std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        match look(cmdline, self.pidfile.as_str()) {
            Look::Ours => true,
            Look::Another => false,
            Look::Empty => self.is_ending(),
        }
    }

    /// A process gives its memory back, and its command line with it, before it closes its files, and its first thread is a
    /// zombie before its last one ends: until then its disks are locked.
    fn is_ending(&self) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        name.starts_with("qemu") && Pid::from_raw(self.pid).is_some_and(|pid| !has_ended(pid))
    }

    /// SIGKILL: what a power cut is to the guest.
    pub(crate) fn kill(&self) {
        if let (true, Some(pid)) = (self.alive(), Pid::from_raw(self.pid)) {
            // It may have ended by itself meanwhile, which is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Kills it and returns when it is gone.
    pub(crate) fn kill_and_wait(&self) {
        self.kill();
        for _ in 0..500 {
            if !self.alive() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns when the process is gone.
    pub(crate) async fn gone(&self, patience: Duration) -> Result<(), LabError> {
        let deadline = tokio::time::Instant::now() + patience;
        while self.alive() {
            if tokio::time::Instant::now() > deadline {
                return Err(LabError::Timeout { what: "power off".to_owned(), after: patience });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Processor time until now.
    pub(crate) fn cpu_time(&self) -> Option<CpuTime> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let ticks = ticks(&stat)?;
        let per_second = rustix::param::clock_ticks_per_second();
        Some(CpuTime { total: Duration::from_millis(ticks * 1000 / per_second.max(1)) })
    }
}

/// What a command line says of its process.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Ours,
    Another,
    Empty,
}

/// A command line is read in several steps, and its process may end between two of them: half of it names nobody. A second
/// look then finds it empty.
fn look(cmdline: impl Fn() -> Vec<u8>, pidfile: &str) -> Look {
    if names(&cmdline(), pidfile) {
        return Look::Ours;
    }
    if cmdline().is_empty() { Look::Empty } else { Look::Another }
}

/// Whether one argument of a NUL-separated command line is exactly `argument`.
fn names(cmdline: &[u8], argument: &str) -> bool {
    cmdline.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
}

/// Whether the last thread of a process has ended (pidfd_open(2)).
fn has_ended(pid: Pid) -> bool {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    poll(&mut ended, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

/// utime + stime of `/proc/PID/stat`. The name in parentheses may hold blanks, so count from its end.
fn ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_names_the_pid_file_is_ours() {
        assert!(names(b"qemu\0-pidfile\0/a/n1/qemu.pid\0", "/a/n1/qemu.pid"));
        assert!(!names(b"qemu\0-pidfile\0/a/n10/qemu.pid\0", "/a/n1/qemu.pid"));
        assert!(!names(b"", "/a/n1/qemu.pid"));
    }

    #[test]
    fn a_process_that_ends_while_it_is_read_is_not_taken_for_another() {
        let seen = |first: &'static [u8], then: &'static [u8]| {
            let looks = std::cell::Cell::new(0);
            look(|| if looks.replace(1) == 0 { first } else { then }.to_vec(), "/a/n1/qemu.pid")
        };
        assert_eq!(seen(b"qemu\0-pidf", b""), Look::Empty);
        assert_eq!(seen(b"", b""), Look::Empty);
        assert_eq!(seen(b"sleep\x0060\0", b"sleep\x0060\0"), Look::Another);
    }

    #[test]
    fn a_process_ends_when_it_is_killed_and_not_before() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(!has_ended(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_ended(pid));
    }

    #[test]
    fn a_reused_pid_is_not_taken_for_qemu() {
        let dir = tempfile::tempdir().unwrap();
        let pidfile = Utf8PathBuf::from_path_buf(dir.path().join("qemu.pid")).unwrap();
        std::fs::write(&pidfile, std::process::id().to_string()).unwrap();
        assert_eq!(Process::find(&pidfile), None);
    }

    #[test]
    fn processor_time_is_read_behind_a_name_with_blanks() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (short) S 1"), None);
    }
}
