//! Collects findings while a text is read, and knows which parts of the text must not be shown.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, Snippet};
use crate::node::{Mark, Node};

/// More findings than this help nobody.
const FINDINGS_MAX: usize = 100;
/// Longest line that is shown.
const LINE_MAX: usize = 160;
/// Longest key that is shown.
pub(crate) const KEY_SHOWN: usize = 60;
/// Longest value that is shown.
const VALUE_MAX: usize = 60;
/// A line of this many base64 characters may be a part of a key.
const BASE64_MIN: usize = 40;

/// The findings in one text.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    items: Vec<(Diagnostic, Mark)>,
    dropped: usize,
    masked: Vec<Mark>,
}

/// A finding before it has a place; see [`Report::add`].
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) value: Option<String>,
    pub(crate) allowed: Option<String>,
    pub(crate) suggestion: Option<String>,
    pub(crate) hint: String,
}

impl Finding {
    pub(crate) fn error(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            value: None,
            allowed: None,
            suggestion: None,
            hint: hint.into(),
        }
    }

    pub(crate) fn warning(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(Code::Suspicious, message, hint) }
    }

    pub(crate) fn value(self, value: impl Into<String>) -> Self {
        Self { value: Some(shorten(&value.into(), VALUE_MAX)), ..self }
    }

    pub(crate) fn allowed(self, allowed: impl Into<String>) -> Self {
        Self { allowed: Some(allowed.into()), ..self }
    }

    pub(crate) fn suggest(self, suggestion: Option<String>) -> Self {
        Self { suggestion, ..self }
    }
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, lines: text.lines().collect(), items: Vec::new(), dropped: 0, masked: Vec::new() }
    }

    /// Adds a finding about `path` in a document of `kind`.
    pub(crate) fn add(&mut self, mark: Mark, kind: Option<&str>, path: &[&str], finding: Finding) {
        if self.items.len() >= FINDINGS_MAX {
            self.dropped += 1;
            return;
        }
        let diagnostic = Diagnostic {
            severity: finding.severity,
            code: finding.code,
            file: self.file.to_owned(),
            line: mark.line,
            column: mark.column,
            kind: kind.map(str::to_owned),
            path: pretty_path(path),
            message: finding.message,
            value: finding.value,
            allowed: finding.allowed,
            suggestion: finding.suggestion,
            hint: finding.hint,
            snippet: None,
        };
        self.items.push((diagnostic, mark));
    }

    /// Hides every value below `node` in what is shown of the text.
    pub(crate) fn mask(&mut self, node: &Node) {
        node.scalars(&mut |mark| self.masked.push(mark));
    }

    pub(crate) fn error_count(&self) -> usize {
        self.items.iter().filter(|(item, _)| item.severity == Severity::Error).count()
    }

    /// The findings in the order of the text, each with its line.
    pub(crate) fn finish(mut self) -> Diagnostics {
        self.items.sort_by_key(|(_, mark)| (mark.line == 0, mark.line, mark.column));
        let mut items = Vec::with_capacity(self.items.len());
        for (mut item, mark) in std::mem::take(&mut self.items) {
            item.snippet = self.snippet(mark, item.code);
            items.push(item);
        }
        if let (true, Some(last)) = (self.dropped > 0, items.last_mut()) {
            last.hint.push_str(&format!(" ({} more findings are not shown)", self.dropped));
        }
        Diagnostics { items }
    }

    fn snippet(&self, mark: Mark, code: Code) -> Option<Snippet> {
        let line = self.lines.get(mark.line.checked_sub(1)?)?;
        let hidden_from = match code == Code::Syntax && may_hold_a_secret(line) {
            true => line.chars().position(|c| c == ':').map_or(0, |colon| colon + 1),
            false => usize::MAX,
        };
        let masked: Vec<&Mark> =
            self.masked.iter().filter(|at| at.line <= mark.line && mark.line <= at.end_line).collect();
        let shown: String = line
            .chars()
            .take(LINE_MAX)
            .enumerate()
            .map(|(index, c)| match c {
                ' ' => ' ',
                _ if index >= hidden_from || is_masked(&masked, mark.line, index + 1) => '*',
                c if c.is_control() => ' ',
                c => c,
            })
            .collect();
        let length = shown.chars().count();
        let end = if mark.end_line == mark.line { mark.end_column } else { length + 1 };
        let width = end.min(length + 1).saturating_sub(mark.column).max(1);
        Some(Snippet { text: shown.trim_end().to_owned(), width })
    }
}

fn is_masked(masked: &[&Mark], line: usize, column: usize) -> bool {
    let position = (line, column);
    masked
        .iter()
        .any(|mark| (mark.line, mark.column) <= position && position < (mark.end_line, mark.end_column))
}

/// Before the text is understood, secrets can only be guessed by their names and looks.
fn may_hold_a_secret(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '-', '\t']);
    let key = line.split(':').next().unwrap_or(line).to_ascii_lowercase();
    let named = ["key", "token", "secret", "password"].iter().any(|word| key.contains(word));
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let longest = line.split(|c| !is_base64(c)).map(str::len).max().unwrap_or(0);
    named || longest >= BASE64_MIN
}

/// One line of at most `limit` characters.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let line: String = text.chars().take(limit).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(limit).is_some() { format!("{line}…") } else { line }
}

/// `routes[0].via`, `nodeLabels["example.com/role"]`.
pub(crate) fn pretty_path(path: &[&str]) -> String {
    let mut pretty = String::new();
    for step in path {
        let plain = !step.is_empty() && step.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if step.parse::<usize>().is_ok() {
            pretty.push_str(&format!("[{step}]"));
        } else if !plain {
            pretty.push_str(&format!("[{:?}]", shorten(step, VALUE_MAX)));
        } else {
            if !pretty.is_empty() {
                pretty.push('.');
            }
            pretty.push_str(step);
        }
    }
    pretty
}
