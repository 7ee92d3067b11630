//! Checks what is said about a mistake. `«…»` marks the text that the caret must point at.

#![allow(dead_code, reason = "each test file uses a part of it")]

use corten_config::{Code, Diagnostic};

use super::{parse, with, worker};

/// What must be said.
pub(crate) struct Expect {
    code: Code,
    message: &'static str,
    /// A part of the suggestion or of the hint.
    help: &'static str,
}

pub(crate) const fn expect(code: Code, message: &'static str, help: &'static str) -> Expect {
    Expect { code, message, help }
}

/// Checks that `text` has exactly one error, at the mark, and that it says what is expected.
pub(crate) fn check(text: &str, expect: &Expect) {
    let (plain, place) = unmark(text);
    let found = match parse(&plain) {
        Ok(_) => panic!("no error in\n{plain}"),
        Err(found) => found,
    };
    let errors: Vec<&Diagnostic> = found.errors().collect();
    assert_eq!(errors.len(), 1, "{found}\n{plain}");
    let error = errors[0];
    assert_eq!(error.code, expect.code, "{error}");
    assert!(error.message.contains(expect.message), "{error}");
    let help = format!("{} {}", error.suggestion.as_deref().unwrap_or_default(), error.hint);
    assert!(help.contains(expect.help), "{error}");
    assert!(!error.hint.is_empty());
    if let Some((line, column, width)) = place {
        let snippet = error.snippet.as_ref().unwrap();
        assert_eq!((error.line, error.column, snippet.width), (line, column, width), "{error}");
    }
}

fn unmark(text: &str) -> (String, Option<(usize, usize, usize)>) {
    let Some((before, rest)) = text.split_once('«') else { return (text.to_owned(), None) };
    let (marked, after) = rest.split_once('»').unwrap();
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (format!("{before}{marked}{after}"), Some((line, column, marked.chars().count())))
}

/// Checks documents that are added to a worker's config.
pub(crate) fn check_document(kind: &str, body: &str, code: Code, message: &'static str, help: &'static str) {
    check(&with(worker(), kind, body), &expect(code, message, help));
}
