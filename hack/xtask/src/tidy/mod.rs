//! `cargo xtask tidy`: the rules of this repository that no compiler checks.
//!
//! Looks at what git tracks. Each rule is a function from a file to findings; all findings are shown, and any fails
//! the task. Sizes that STYLE gives as an aim are reported, not enforced.

mod rules;
mod sizes;
mod workspace;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cache;
use crate::progress;

/// A line that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path from the root of the checkout.
    path: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    /// What is wrong, and what would be right.
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// A tracked file that is text.
#[derive(Debug)]
struct Source {
    path: String,
    text: String,
}

/// Checks every file that git tracks.
pub(crate) fn run() -> Result<()> {
    let root = cache::workspace_root();
    let sources = sources(&root)?;
    let folders = rules::folders_of_this_machine(&root);
    let mut findings: Vec<Finding> =
        sources.iter().flat_map(|source| rules::check(&source.path, &source.text, &folders)).collect();
    findings.extend(workspace::check(&sources));
    for finding in &findings {
        eprintln!("{finding}");
    }
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    let rust = rust.map(|source| (source.path.as_str(), source.text.as_str()));
    progress::note("tidy", &sizes::measure(rust).to_string());
    match findings.len() {
        0 => {
            progress::note("tidy", &format!("{} files are in order", sources.len()));
            Ok(())
        }
        1 => bail!("tidy: 1 finding"),
        count => bail!("tidy: {count} findings"),
    }
}

/// Every tracked text file. A file that somebody is about to remove is left out.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z"]);
    let names = progress::output(&mut git).context("tidy asks git for the files")?;
    let read = |name: &str| -> Result<Option<Source>> {
        let path: PathBuf = root.join(name);
        if path.is_symlink() || !path.is_file() {
            return Ok(None);
        }
        let bytes = fs::read(&path).with_context(|| format!("read {name}"))?;
        Ok(String::from_utf8(bytes).ok().map(|text| Source { path: name.to_owned(), text }))
    };
    names.split('\0').filter(|name| !name.is_empty()).filter_map(|name| read(name).transpose()).collect()
}
