//! `pause`: the first process of a pod. It holds the pod's namespaces while containers come and go,
//! reaps what they leave behind when they share a process namespace, and ends when it is told to.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

fn main() -> Result<(), Errno> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM] {
        signals.add(signal);
    }
    // Blocked, they stay pending until they are waited for: none gets lost between two waits.
    signals.thread_block()?;
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => reap(),
            _ => return Ok(()),
        }
    }
}

/// Reaps every child that has ended: one signal may stand for several of them.
fn reap() {
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
    {
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn every_child_that_ended_is_reaped_and_one_that_runs_is_left() {
        let mut long = Command::new("sleep").arg("60").spawn().unwrap();
        let short: Vec<_> = (0..5).map(|_| Command::new("true").spawn().unwrap().id()).collect();
        std::thread::sleep(Duration::from_millis(300));
        reap();
        for pid in short {
            let pid = Pid::from_raw(pid.try_into().unwrap());
            assert_eq!(waitpid(pid, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD));
        }
        assert!(long.try_wait().unwrap().is_none());
        long.kill().unwrap();
        long.wait().unwrap();
    }
}
