//! Runs a program of others to its end, with a deadline, and keeps what it said.

use std::time::Duration;

use camino::Utf8PathBuf;
use corten_sys::process::{Child, Command, Exit, Output, Reaper, Signal, SpawnError};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// More than any of these programs says in one run.
const OUTPUT_MAX: usize = 64 << 10;
/// For a killed process to go. Longer means that it hangs in the kernel, on its disk.
const KILL_DEADLINE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It did not start.
    #[error("start {program}")]
    Start {
        /// The program.
        program: Utf8PathBuf,
        /// Cause.
        source: SpawnError,
    },
    /// It took too long, and was killed.
    #[error("{program} took longer than {} seconds", deadline.as_secs())]
    Deadline {
        /// The program.
        program: Utf8PathBuf,
        /// The time that it had.
        deadline: Duration,
    },
}

/// How a program ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) exit: Exit,
    pub(super) output: String,
}

/// Runs a program to its end.
pub(super) async fn run(reaper: &Reaper, command: Command, deadline: Duration) -> Result<Answer, ToolError> {
    let program = command.program.clone();
    let spawned = reaper.spawn(command.output(Output::Pipe)).await;
    let mut child = spawned.map_err(|source| ToolError::Start { program: program.clone(), source })?;
    match timeout(deadline, finish(&mut child)).await {
        Ok(answer) => Ok(answer),
        Err(_) => {
            let _ = child.signal(Signal::SIGKILL);
            let _ = timeout(KILL_DEADLINE, child.wait()).await;
            Err(ToolError::Deadline { program, deadline })
        }
    }
}

async fn finish(child: &mut Child) -> Answer {
    let mut output = Vec::new();
    if let Some(pipe) = child.output.take() {
        let mut limited = pipe.take(OUTPUT_MAX as u64);
        let _ = limited.read_to_end(&mut output).await;
        // The rest is drained, so that the program does not wait for a reader.
        let _ = tokio::io::copy(limited.get_mut(), &mut tokio::io::sink()).await;
    }
    Answer { exit: child.wait().await, output: String::from_utf8_lossy(&output).trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh").args(["-c", script]).env("PATH", "/usr/bin:/bin")
    }

    #[tokio::test]
    async fn the_answer_holds_the_exit_and_both_outputs() {
        let reaper = Reaper::start().unwrap();
        let answer =
            run(&reaper, shell("echo a; echo b >&2; exit 4"), Duration::from_secs(20)).await.unwrap();
        assert_eq!(answer, Answer { exit: Exit::Code(4), output: "a\nb".into() });
    }

    #[tokio::test]
    async fn one_that_never_ends_and_ignores_sigterm_is_killed_at_the_deadline() {
        let reaper = Reaper::start().unwrap();
        let command = shell("trap '' TERM; while :; do sleep 1; done");
        let error = run(&reaper, command, Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, ToolError::Deadline { .. }), "{error}");
    }

    #[tokio::test]
    async fn one_that_says_too_much_still_ends() {
        let reaper = Reaper::start().unwrap();
        let answer = run(&reaper, shell("head -c 1000000 /dev/zero"), Duration::from_secs(20)).await.unwrap();
        assert_eq!((answer.exit, answer.output.len()), (Exit::Code(0), OUTPUT_MAX));
    }
}
