//! Ends every process but our own: containers, their shims, and what was left behind.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

/// How often to look whether all are gone.
const POLL: Duration = Duration::from_millis(20);
/// `PF_KTHREAD` of the kernel: a thread of its own.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// Every process, except PID 1 and the caller.
const ALL: Pid = Pid::from_raw(-1);

/// Who is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survivors {
    /// How many.
    pub count: usize,
    /// Their names, at most ten.
    pub names: Vec<String>,
}

/// Asks all processes to end, waits, and kills the rest. Only as PID 1: anywhere else it does nothing, since it would
/// end the whole session of whoever tries it.
pub async fn end_all(terminate: Duration, kill_time: Duration) -> Survivors {
    if std::process::id() != 1 {
        return Survivors::default();
    }
    for (signal, limit) in [(Signal::SIGTERM, terminate), (Signal::SIGKILL, kill_time)] {
        if running().is_empty() {
            break;
        }
        let _ = kill(ALL, signal);
        // A frozen container takes no other signal.
        let _ = kill(ALL, Signal::SIGCONT);
        wait_until_gone(limit).await;
    }
    let left = running();
    Survivors { count: left.len(), names: left.into_iter().take(10).collect() }
}

async fn wait_until_gone(limit: Duration) {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline && !running().is_empty() {
        sleep(POLL).await;
    }
}

/// Names of all processes but PID 1.
fn running() -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stats =
        pids.filter(|pid| *pid != 1).filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    stats.filter_map(|stat| user_process(&stat)).collect()
}

/// Name from `/proc/PID/stat`, unless it is a thread of the kernel or has ended already.
fn user_process(stat: &str) -> Option<String> {
    // The name may hold anything, parentheses too.
    let (head, tail) = stat.rsplit_once(')')?;
    let mut fields = tail.split_whitespace();
    let state = fields.next()?;
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let alive = !matches!(state, "Z" | "X" | "x") && flags & KERNEL_THREAD == 0;
    alive.then(|| head.split_once('(').map(|(_, name)| name.to_owned())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_threads_and_zombies_do_not_count() {
        let stat = |state: &str, flags: u64| format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 0 0 0");
        assert_eq!(user_process(&stat("S", 0x40_0100)), Some("a) b".to_owned()));
        assert_eq!(user_process(&stat("Z", 0x40_0100)), None);
        assert_eq!(user_process(&stat("I", 0x20_8040)), None);
        assert_eq!(user_process("7 (a"), None);
    }

    #[test]
    fn this_process_is_seen() {
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(user_process(&own).is_some());
        assert!(!running().is_empty());
    }
}
