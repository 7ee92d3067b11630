//! Running `cargo test` and counting what it says.
//!
//! Its output goes to a log file; on the terminal a quick test is silent, one that took long or failed has a line,
//! and what a failed test said is shown at once.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::progress::{self, elapsed};

/// A test that takes longer has a line of its own.
const LONG: Duration = Duration::from_secs(2);

/// How tests ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub passed: usize,
    /// By name.
    pub failed: Vec<String>,
    /// By name or with a reason.
    pub skipped: Vec<String>,
}

/// What one line of output says.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Passed(&'a str),
    Failed(&'a str),
    Ignored(&'a str),
    Skipped(&'a str),
    /// Which test program runs now.
    Program(&'a str),
    Other,
}

impl Tally {
    /// A tier that could not run at all.
    pub(crate) fn broken(what: &str) -> Self {
        Self { failed: vec![format!("{what} did not run")], ..Self::default() }
    }

    /// Both together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: [self.failed.as_slice(), &other.failed].concat(),
            skipped: [self.skipped.as_slice(), &other.skipped].concat(),
        }
    }

    fn count(&mut self, line: &Line<'_>) {
        match *line {
            Line::Passed(_) => self.passed += 1,
            Line::Failed(name) => self.failed.push(name.to_owned()),
            Line::Ignored(name) | Line::Skipped(name) => self.skipped.push(name.to_owned()),
            Line::Program(_) | Line::Other => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed.len())?;
        if self.skipped.is_empty() { Ok(()) } else { write!(f, ", {} skipped", self.skipped.len()) }
    }
}

/// Runs a `cargo test` to its end.
pub(crate) fn follow(command: &mut Command, log: &Path) -> Result<Tally> {
    fs::create_dir_all(log.parent().context("a log has a folder")?)?;
    let mut file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let errors = file.try_clone()?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn()?;
    let output = BufReader::new(child.stdout.take().context("the output of cargo test")?);
    let mut tally = Tally::default();
    let mut begun = Instant::now();
    for line in output.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(file, "{line}")?;
        let parsed = parse(&line);
        tally.count(&parsed);
        tell(&parsed, begun.elapsed());
        if parsed != Line::Other {
            begun = Instant::now();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        progress::note("log", &log.display().to_string());
        show_failures(log)?;
        if tally.failed.is_empty() {
            tally.failed.push(format!("cargo test ({status})"));
        }
    }
    Ok(tally)
}

fn tell(line: &Line<'_>, took: Duration) {
    match *line {
        Line::Failed(name) => progress::note(name, &format!("FAILED after {}", elapsed(took))),
        Line::Passed(name) if took >= LONG => progress::note(name, &format!("passed in {}", elapsed(took))),
        _ => {}
    }
}

fn parse(line: &str) -> Line<'_> {
    if let Some(reason) = line.strip_prefix("skipped: ") {
        return Line::Skipped(reason);
    }
    if let Some(program) = line.trim_start().strip_prefix("Running ") {
        return Line::Program(program);
    }
    let Some((name, verdict)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) else {
        return Line::Other;
    };
    match verdict {
        "ok" => Line::Passed(name),
        "FAILED" => Line::Failed(name),
        _ if verdict.starts_with("ignored") => Line::Ignored(name),
        _ => Line::Other,
    }
}

/// The parts of the log between "failures:" and the closing line of a test program, and compiler errors.
fn show_failures(log: &Path) -> Result<()> {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
    let mut inside = false;
    let mut shown = 0;
    for line in text.lines() {
        inside = match line {
            "failures:" => true,
            _ if line.starts_with("error") => true,
            _ if line.starts_with("test result:") || line.is_empty() && !inside => false,
            _ => inside,
        };
        if inside && shown < 400 {
            eprintln!("    {line}");
            shown += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_told_from_other_lines() {
        assert_eq!(parse("test a::b ... ok"), Line::Passed("a::b"));
        assert_eq!(parse("test a::b - should panic ... FAILED"), Line::Failed("a::b - should panic"));
        assert_eq!(parse("test a ... ignored, needs root"), Line::Ignored("a"));
        assert_eq!(parse("skipped: cgroups needs root"), Line::Skipped("cgroups needs root"));
        assert_eq!(parse("test result: ok. 3 passed; 0 failed"), Line::Other);
        assert_eq!(parse("running 3 tests"), Line::Other);
    }

    #[test]
    fn a_run_is_counted_and_its_failure_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo 'test a ... ok'; echo 'test b ... FAILED'; echo 'skipped: c needs root'; exit 101";
        let tally = follow(Command::new("sh").args(["-c", script]), &folder.path().join("log")).unwrap();
        let wanted = Tally { passed: 1, failed: vec!["b".into()], skipped: vec!["c needs root".into()] };
        assert_eq!(tally, wanted);
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_run_that_does_not_even_compile_has_failed() {
        let folder = tempfile::tempdir().unwrap();
        let tally = follow(Command::new("sh").args(["-c", "exit 101"]), &folder.path().join("log")).unwrap();
        assert_eq!(tally.failed.len(), 1);
    }
}
