//! Faults on purpose, for the tests of the way back: `corten.fault=NAME` on the kernel command line.
//!
//! Only with the cargo feature `faults`, which no image that ships is built with.

use std::thread;
use std::time::Duration;

use crate::boot::cmdline::Cmdline;
use crate::boot::fatal::say;

/// How long the runtime runs before it is blocked.
const DEADLOCK_AFTER: Duration = Duration::from_secs(15);
/// More than there are workers.
const BLOCKERS: usize = 16;

/// Whether this fault is asked for.
pub fn is(name: &str) -> bool {
    Cmdline::read().is_ok_and(|cmdline| cmdline.get("corten.fault") == Some(name))
}

/// `hang-initramfs`: never goes on.
pub fn in_initramfs() {
    if is("hang-initramfs") {
        say("corten: fault: hanging");
        sleep_for_ever();
    }
}

/// `crash-at-start`: PID 1 panics. `kernel-panic`: the kernel does.
#[expect(clippy::panic, reason = "a panic is the fault")]
pub fn at_start() {
    if is("kernel-panic") {
        let _ = std::fs::write("/proc/sysrq-trigger", "c");
    }
    if is("crash-at-start") {
        say("corten: fault: crashing");
        std::panic::panic_any("corten.fault=crash-at-start");
    }
}

/// `deadlock`: blocks every worker of the runtime after a while. It must be called within a runtime.
pub fn in_runtime() {
    if !is("deadlock") {
        return;
    }
    tokio::spawn(async {
        tokio::time::sleep(DEADLOCK_AFTER).await;
        say("corten: fault: blocking every worker");
        for _ in 0..BLOCKERS {
            tokio::spawn(async { sleep_for_ever() });
        }
    });
}

/// Waits for ever when this fault is asked for: `no-api` before the API is served.
pub async fn hold(name: &str) {
    if is(name) {
        say("corten: fault: held back");
        std::future::pending::<()>().await;
    }
}

/// `config-format`: the config as a machined sees it that reads another format only.
pub fn of_another_format(config: String) -> String {
    if is("config-format") { config.replace("corten.dev/v1", "corten.dev/v9") } else { config }
}

fn sleep_for_ever() {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
