//! Running the operator's tools and looking at what they said.

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// A program with the environment in which a test runs it.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The program's file.
    pub program: Utf8PathBuf,
    /// Variables that are set for it.
    pub environment: Vec<(String, String)>,
    /// When it is killed.
    pub patience: Duration,
    /// Set when it was told to do something after which a node starts again.
    pub restarts: Arc<AtomicBool>,
}

/// Commands of `osctl` that may end in a boot.
const RESTARTING: [&str; 5] = ["reboot", "apply-config", "upgrade", "rollback", "reset"];

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: tokio::process::Child,
    patience: Duration,
}

/// A program that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    line: String,
    /// Its exit code; none when it was killed.
    pub code: Option<i32>,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl Tool {
    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Finished> {
        self.run_with(arguments, "").await
    }

    /// Runs it to its end with text on its stdin.
    pub async fn run_with(&self, arguments: &[&str], stdin: &str) -> Result<Finished> {
        let mut running = self.start(arguments)?;
        if let Some(mut pipe) = running.child.stdin.take() {
            // A program that does not read its input closes it; what it said then is the better message.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut pipe, stdin.as_bytes()).await;
        }
        running.end().await
    }

    /// Starts it, for a test that does something else meanwhile. It is killed when the test ends before it.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        if arguments.iter().any(|argument| RESTARTING.contains(argument)) {
            self.restarts.store(true, Ordering::Relaxed);
        }
        let line = format!("{} {}", self.program.file_name().unwrap_or_default(), arguments.join(" "));
        let mut command = Command::new(&self.program);
        command.args(arguments).envs(self.environment.iter().cloned()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("start {}", self.program))?;
        Ok(Running { line, child, patience: self.patience })
    }

    /// Runs it and wants success; returns its stdout.
    pub async fn ok(&self, arguments: &[&str]) -> Result<String> {
        self.run(arguments).await?.ok()
    }

    /// Runs it until it succeeds and `enough` likes its stdout.
    pub async fn until(
        &self,
        arguments: &[&str],
        patience: Duration,
        enough: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let finished = self.run(arguments).await?;
            if finished.code == Some(0) && enough(&finished.stdout) {
                return Ok(finished.stdout);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("not within {patience:?}: {finished}");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

impl Running {
    /// Waits for its end.
    pub async fn end(self) -> Result<Finished> {
        let Self { line, child, patience } = self;
        let output = tokio::time::timeout(patience, child.wait_with_output()).await;
        let output = output.with_context(|| format!("`{line}` took over {patience:?}"))??;
        Ok(Finished {
            line,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Kills it, as when its computer is switched off.
    pub async fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "`{}` has ended already", self.line);
        Ok(self.child.kill().await?)
    }
}

impl Finished {
    /// Wants exit code 0; returns stdout.
    pub fn ok(self) -> Result<String> {
        ensure!(self.code == Some(0), "{self}");
        Ok(self.stdout)
    }

    /// Wants that exit code and each of these words on stderr, whatever their case.
    pub fn fails(&self, code: i32, words: &[&str]) -> Result<()> {
        ensure!(self.code == Some(code), "exit code {code} was expected: {self}");
        let said = self.stderr.to_lowercase();
        for word in words {
            ensure!(said.contains(&word.to_lowercase()), "stderr lacks {word:?}: {self}");
        }
        Ok(())
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        write!(f, "`{line}` ended with {code:?}\nstdout: {}\nstderr: {}", stdout.trim(), stderr.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Tool {
        Tool {
            program: "/bin/sh".into(),
            environment: vec![("X".into(), "y".into())],
            patience: Duration::from_secs(5),
            restarts: Arc::default(),
        }
    }

    #[tokio::test]
    async fn whoever_reboots_a_node_expects_a_boot() {
        let tool = shell();
        let _ = tool.run(&["-c", "true"]).await.unwrap();
        assert!(!tool.restarts.load(Ordering::Relaxed));
        let _ = tool.run(&["-c", "true", "reboot"]).await.unwrap();
        assert!(tool.clone().restarts.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_failure_is_matched_by_code_and_words() {
        let finished = shell().run(&["-c", "echo Wrong CA >&2; exit 4"]).await.unwrap();
        finished.fails(4, &["wrong ca"]).unwrap();
        assert!(finished.fails(3, &[]).is_err());
        assert!(finished.fails(4, &["expired"]).is_err());
        assert!(finished.ok().is_err());
    }

    #[tokio::test]
    async fn stdin_and_environment_reach_the_program() {
        let finished = shell().run_with(&["-c", "cat; echo $X"], "in ").await.unwrap();
        assert_eq!(finished.ok().unwrap(), "in y\n");
    }

    #[tokio::test]
    async fn what_was_started_can_be_killed_as_long_as_it_runs() {
        shell().start(&["-c", "sleep 5"]).unwrap().kill().await.unwrap();
        let mut ended = shell().start(&["-c", "exit 3"]).unwrap();
        ended.child.wait().await.unwrap();
        assert!(ended.kill().await.unwrap_err().to_string().contains("ended already"));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let tool = Tool { patience: Duration::from_millis(50), ..shell() };
        let error = tool.run(&["-c", "sleep 5"]).await.unwrap_err();
        assert!(error.to_string().contains("took over"), "{error}");
    }
}
