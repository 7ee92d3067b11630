//! What is wrong with a config, and where: for people with a caret, for programs as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is taken, but it is probably not what was meant.
    Warning,
}

/// Kind of mistake. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The text is not YAML, or uses a part of YAML that configs do not.
    Syntax,
    /// The document's `apiVersion` is missing or another.
    ApiVersion,
    /// There is no such kind of document.
    UnknownKind,
    /// The document has no such key.
    UnknownKey,
    /// The key is there twice.
    DuplicateKey,
    /// A required key is not there.
    MissingKey,
    /// A list where text belongs, text where a number belongs, and so on.
    WrongType,
    /// The value does not have the right form, or is not one of those allowed.
    BadValue,
    /// The number or the length is too small or too large.
    OutOfRange,
    /// A required document is not there.
    MissingDocument,
    /// There is another document of this kind and name.
    DuplicateDocument,
    /// Two values do not fit together.
    Contradiction,
    /// Legal, but probably not what was meant.
    Suspicious,
}

/// The line that a diagnostic is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// The line, secrets masked.
    pub text: String,
    /// How many characters the caret marks, from the column on.
    pub width: usize,
}

/// One mistake or doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Kind of mistake.
    pub code: Code,
    /// Name of the text, as the caller gave it.
    pub file: String,
    /// Line, from 1; 0 when it concerns the text as a whole.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Kind of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where in the document, as in `routes[0].via`; empty for the document itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// The value, shortened; never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// What was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// What to do.
    pub hint: String,
    /// The line in question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Snippet>,
}

/// Everything that was found in one text, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diagnostics {
    /// The findings, by line and column.
    pub items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// The errors alone.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter().filter(|item| item.severity == Severity::Error)
    }

    /// The warnings alone.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter().filter(|item| item.severity == Severity::Warning)
    }

    /// The first error in one line, and how many more there are; empty when there is none.
    pub fn summary(&self) -> String {
        let mut errors = self.errors();
        let Some(first) = errors.next() else { return String::new() };
        let Diagnostic { message, file, line, column, .. } = first;
        let place = if *line == 0 { file.clone() } else { format!("{file}:{line}:{column}") };
        match errors.count() {
            0 => format!("{message} ({place})"),
            more => format!("{message} ({place}), and {}", count(more, "more error")),
        }
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            writeln!(f, "{item}")?;
        }
        let (errors, warnings) = (self.errors().count(), self.warnings().count());
        match (errors, warnings) {
            (0, 0) => write!(f, "no errors"),
            (errors, 0) => write!(f, "{}", count(errors, "error")),
            (0, warnings) => write!(f, "{}", count(warnings, "warning")),
            _ => write!(f, "{}, {}", count(errors, "error"), count(warnings, "warning")),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        if self.line == 0 {
            writeln!(f, "  --> {}", self.file)?;
        } else {
            writeln!(f, "  --> {}:{}:{}{}", self.file, self.line, self.column, self.place())?;
        }
        let gutter = self.line.to_string().len();
        if let Some(snippet) = &self.snippet {
            let indent = " ".repeat(self.column.saturating_sub(1));
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{} | {}", self.line, snippet.text)?;
            writeln!(f, "{:gutter$} | {indent}{}", "", "^".repeat(snippet.width.max(1)))?;
        }
        // The snippet shows the value, and some hints say what is allowed.
        let value = self.value.as_ref().filter(|_| self.snippet.is_none());
        let allowed = self.allowed.as_ref().filter(|allowed| !self.hint.ends_with(allowed.as_str()));
        for (name, note) in [("value", value), ("allowed", allowed)] {
            if let Some(note) = note {
                writeln!(f, "{:gutter$} = {name}: {note}", "")?;
            }
        }
        writeln!(f, "{:gutter$} = hint: {}", "", self.hint)
    }
}

impl Diagnostic {
    fn place(&self) -> String {
        match (&self.kind, self.path.as_str()) {
            (None, _) => String::new(),
            (Some(kind), "") => format!(" ({kind})"),
            (Some(kind), path) => format!(" ({kind}: {path})"),
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use crate::{Config, Source};

    #[test]
    fn a_summary_is_one_line_with_the_first_place_and_the_number_of_the_others() {
        let text = "apiVersion: corten.dev/v9\nkind: Hostname\nhostname: a\n";
        let mut found = Config::parse(text, &Source::new("a.yaml")).unwrap_err();
        let first = "unknown apiVersion \"corten.dev/v9\" (a.yaml:1:13)";
        assert_eq!(found.errors().count(), 3, "two documents are missing: {found}");
        assert_eq!(found.summary(), format!("{first}, and 2 more errors"));
        found.items.truncate(1);
        assert_eq!(found.summary(), first);
        found.items.clear();
        assert_eq!(found.summary(), "");
    }
}
