//! A node's console log.

use crate::LabError;
use camino::{Utf8Path, Utf8PathBuf};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

/// Words that a healthy node never prints.
const TROUBLE: [&str; 8] = [
    "Kernel panic",
    "BUG:",
    "Oops",
    "Call Trace:",
    "thread panicked",
    "panicked at",
    "unexpected restart",
    "Out of memory: Killed",
];

/// What machined prints once in each boot.
const BOOT: &str = "corten: version ";
/// Begins a line that the lab wrote into the log.
const NOTE: &str = "[lab] ";

/// The text that a node printed since it was made, over all its boots.
#[derive(Debug, Clone)]
pub struct Console {
    path: Utf8PathBuf,
}

/// A place in the log, to look only at what came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// The beginning of the log.
    pub const START: Self = Self(0);
}

impl Console {
    pub(crate) fn new(path: Utf8PathBuf) -> Self {
        Self { path }
    }

    /// The log file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The present end of the log.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len()))
    }

    /// What was printed after `mark`; nothing when there is no log yet.
    #[must_use]
    pub fn since(&self, mark: Mark) -> String {
        let read = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(mark.0))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            std::io::Result::Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }

    /// Waits for a line that contains `text` and returns it.
    ///
    /// # Errors
    /// When it was not printed in time; the error quotes the last lines instead.
    pub async fn wait_for(&self, text: &str, since: Mark, patience: Duration) -> Result<String, LabError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let said = self.since(since);
            // The last one may be half printed.
            let whole = said.rfind('\n').map_or("", |end| &said[..end]);
            if let Some(line) = whole.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if tokio::time::Instant::now() > deadline {
                let what = format!("{text:?} on the console, which ends with {:?},", last_lines(&said, 5));
                return Err(LabError::Timeout { what, after: patience });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How often the system came up more often than somebody switched it on or reset it.
    #[must_use]
    pub fn boots_unasked(&self) -> usize {
        let said = self.since(Mark::START);
        let count = |text: &str| said.lines().filter(|line| line.starts_with(text)).count();
        count(BOOT).saturating_sub(count(NOTE))
    }

    /// Writes a line of the lab's own.
    pub(crate) fn note(&self, text: &str) -> Result<(), LabError> {
        let open = File::options().create(true).append(true).open(&self.path);
        let written = open.and_then(|mut file| file.write_all(format!("\n{NOTE}{text}\n").as_bytes()));
        written.map_err(LabError::file("write", &self.path))
    }

    /// Lines that a healthy node does not print.
    #[must_use]
    pub fn trouble(&self, since: Mark) -> Vec<String> {
        let said = self.since(since);
        let bad = |line: &&str| TROUBLE.iter().any(|word| line.contains(word));
        said.lines().filter(bad).map(|line| line.trim().to_owned()).collect()
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> (tempfile::NamedTempFile, Console) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = Utf8PathBuf::from_path_buf(file.path().to_owned()).unwrap();
        (file, Console::new(path))
    }

    #[tokio::test]
    async fn only_lines_after_the_mark_count() {
        let (mut file, console) = console();
        writeln!(file, "API is up").unwrap();
        let mark = console.mark();
        let error = console.wait_for("API is up", mark, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, LabError::Timeout { .. }));
        writeln!(file, "[1.0] API is up again").unwrap();
        let line = console.wait_for("API is up", mark, Duration::ZERO).await.unwrap();
        assert_eq!(line, "[1.0] API is up again");
    }

    #[test]
    fn trouble_is_found_and_a_quiet_console_has_none() {
        let (mut file, console) = console();
        writeln!(file, "all is well").unwrap();
        assert!(console.trouble(Mark::START).is_empty());
        writeln!(file, "[3.1] BUG: scheduling while atomic").unwrap();
        assert_eq!(console.trouble(Mark::START), ["[3.1] BUG: scheduling while atomic"]);
    }

    #[test]
    fn a_boot_that_nobody_asked_for_is_counted() {
        let (_file, console) = console();
        let mark = console.mark();
        console.note("reset button").unwrap();
        assert!(console.since(mark).contains("[lab] reset button"));
        let console_log = "[lab] power on\ncorten: version 1\n[lab] reset button\ncorten: version 1\n";
        std::fs::write(console.path(), console_log).unwrap();
        assert_eq!(console.boots_unasked(), 0);
        std::fs::write(console.path(), format!("{console_log}corten: version 1\n")).unwrap();
        assert_eq!(console.boots_unasked(), 1);
    }

    #[test]
    fn a_console_without_a_log_is_empty() {
        assert_eq!(Console::new("/nonexistent/console".into()).since(Mark::START), "");
    }
}
