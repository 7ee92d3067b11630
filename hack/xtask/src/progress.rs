//! What a task says on the terminal, and where the output of the programs it runs goes.
//!
//! A line a step; the output of a program goes to `_out/log/<step>.log`, and its end is shown when
//! the program fails. A step that takes long says so now and then, so that a CI log keeps moving.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::cache;

/// How many lines of a failed program's output are shown.
const TAIL_LINES: usize = 30;
/// How often a running program is looked at, and how often a long one is mentioned.
const POLL: Duration = Duration::from_millis(50);
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Opens a part of a task that has several steps.
pub(crate) fn header(title: &str) {
    if io::stdout().is_terminal() {
        println!("\x1b[1m{title}\x1b[0m");
    } else {
        println!("{title}");
    }
}

/// Says one thing about a step: `components/runc: up to date`.
pub(crate) fn note(step: &str, message: &str) {
    println!("  {step}: {message}");
    // When the task is piped into a file, whoever follows that file wants the line now.
    let _ = io::stdout().flush();
}

/// A step that is being timed.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    started: Instant,
}

impl Step {
    /// Says that the step starts.
    pub(crate) fn start(name: &str, doing: &str) -> Self {
        note(name, doing);
        Self { name: name.to_owned(), started: Instant::now() }
    }

    /// Says that the step ended well, and how long it took.
    pub(crate) fn done(self, what: &str) {
        note(&self.name, &format!("{what} in {}", elapsed(self.started.elapsed())));
    }
}

/// Runs a program with its output in `_out/log/<step>.log`; a failure shows the end of it.
pub(crate) fn run(step: &str, command: &mut Command) -> Result<()> {
    let path = log_path(&cache::out_dir(), step);
    run_logged(step, command, &path)
}

/// Runs a program and returns what it wrote on stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}): {}", output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} wrote something that is not text"))
}

fn run_logged(step: &str, command: &mut Command, path: &Path) -> Result<()> {
    let folder = path.parent().context("a log path has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let log = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    let name = describe(command);
    writeln!(&log, "$ {name}")?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);

    let status = wait_loudly(step, command).with_context(|| format!("start {name}"))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    eprintln!("{}", tail(&text, TAIL_LINES));
    bail!("{step}: {name} failed ({status}); its whole output is in {}", path.display())
}

fn wait_loudly(step: &str, command: &mut Command) -> io::Result<ExitStatus> {
    let started = Instant::now();
    let mut mentioned = started;
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if mentioned.elapsed() >= HEARTBEAT {
            mentioned = Instant::now();
            note(step, &format!("still running, {}", elapsed(started.elapsed())));
        }
        thread::sleep(POLL);
    }
}

/// A step's name may hold slashes; its log is one file all the same.
fn log_path(out: &Path, step: &str) -> PathBuf {
    out.join("log").join(format!("{}.log", step.replace('/', "-")))
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A duration as a person would say it: `0.4s`, `52s`, `4m12s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        let cases =
            [(400, "0.4s"), (9_900, "9.9s"), (52_000, "52s"), (252_000, "4m12s"), (3_605_000, "60m05s")];
        for (milliseconds, expected) in cases {
            assert_eq!(elapsed(Duration::from_millis(milliseconds)), expected);
        }
    }

    #[test]
    fn a_tail_is_the_end_of_the_text() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 5), "a");
    }

    #[test]
    fn a_failed_program_names_its_log_which_holds_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = log_path(folder.path(), "components/runc");
        assert_eq!(path, folder.path().join("log/components-runc.log"));
        let mut command = Command::new("sh");
        command.args(["-c", "echo it broke; exit 3"]);
        let error = run_logged("components/runc", &mut command, &path).unwrap_err().to_string();
        assert!(error.contains("components-runc.log") && error.contains("exit status: 3"), "{error}");
        assert!(fs::read_to_string(&path).unwrap().contains("it broke\n"));
    }

    #[test]
    fn output_reports_what_a_failed_program_said() {
        assert_eq!(output(Command::new("echo").arg("hi")).unwrap(), "hi\n");
        let error = output(Command::new("sh").args(["-c", "echo no such thing >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }
}
