//! Signals to processes by name, and orphans. For privileged pods that share the node's PID namespace.

use crate::Outcome;
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a signal to every process with that `comm`, and says to how many.
pub(crate) fn kill(name: &str, signal: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let signal: Signal = format!("SIG{}", signal.trim_start_matches("SIG")).parse()?;
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // The process may be gone by now; then there is nothing to signal.
        let Ok(comm) = std::fs::read_to_string(entry.path().join("comm")) else { continue };
        if comm_matches(comm.trim_end(), name) && send(Pid::from_raw(pid), signal).is_ok() {
            killed += 1;
        }
    }
    if killed == 0 { Err(format!("no process is named {name}").into()) } else { Ok(killed) }
}

/// The kernel keeps the first 15 bytes of a name.
fn comm_matches(comm: &str, name: &str) -> bool {
    let end = name.len().min(15);
    comm.as_bytes() == &name.as_bytes()[..end]
}

/// Starts `count` children that each leave a child of their own behind.
pub(crate) fn fork_orphans(count: usize) -> Outcome {
    let this = std::env::current_exe()?;
    for _ in 0..count {
        let status = Command::new(&this).arg("orphan").status()?;
        if !status.success() {
            return Err(format!("the parent of an orphan failed: {status}").into());
        }
    }
    println!("{count} orphans");
    Ok(ExitCode::SUCCESS)
}

/// Starts a sleeper and ends before it does. Whoever waits for this program's output waits for nobody else.
pub(crate) fn orphan() -> Outcome {
    let mut sleeper = Command::new(std::env::current_exe()?);
    sleeper.arg("sleep").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    Ok(ExitCode::SUCCESS)
}

/// Kills the process that adopts what is orphaned in this container: the shim, which is the parent of whatever is
/// started in it, once the runc that started it has ended. From then on they are children of PID 1.
pub(crate) fn kill_shim() -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let parent = nix::unistd::getppid();
        let comm = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
        if comm_matches(comm.trim_end(), "containerd-shim") {
            send(parent, Signal::SIGKILL)?;
            return Ok(ExitCode::SUCCESS);
        }
        if Instant::now() > deadline {
            return Err(format!("the parent is {:?}, which is no shim", comm.trim_end()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_compared_as_the_kernel_keeps_it() {
        assert!(comm_matches("kube-controller", "kube-controller-manager"));
        assert!(comm_matches("etcd", "etcd"));
        assert!(!comm_matches("etcdutl", "etcd"));
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error() {
        assert!(kill("no-such-process", "TERM").is_err());
        assert!(kill("init", "NOSUCH").is_err());
    }
}
