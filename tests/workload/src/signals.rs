//! Waiting, and what SIGTERM does meanwhile.
//!
//! PID 1 of a container gets no signal that it does not handle, so a program that just sleeps would hold up
//! its pod's end for the whole grace period.

use crate::Outcome;
use nix::sys::signal::{SigSet, Signal};
use std::process::ExitCode;
use std::time::Duration;

/// Sleeps for a time or for ever; SIGTERM and SIGINT end it with success.
pub(crate) fn sleep(seconds: Option<u64>) -> Outcome {
    let waiter = end_on_term()?;
    match seconds {
        Some(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
        None => waiter.join().map_err(|_| "the signal thread panicked")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Blocks SIGTERM and sleeps for ever.
pub(crate) fn ignore_term() -> Outcome {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    println!("ignoring SIGTERM");
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Ends the process with success on SIGTERM or SIGINT, from a thread of its own.
///
/// Must be called before any other thread starts: threads inherit the blocked signals.
pub(crate) fn end_on_term() -> Result<std::thread::JoinHandle<()>, Box<dyn std::error::Error>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    Ok(std::thread::spawn(move || {
        if signals.wait().is_ok() {
            #[expect(clippy::exit, reason = "the main thread may be in accept(2) and cannot be told")]
            std::process::exit(0);
        }
    }))
}
