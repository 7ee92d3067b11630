//! What a test does to a node on purpose, so that the look at the end does not count it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What comes with a panic or a warning of the kernel.
const COMPANIONS: [&str; 2] = ["Call Trace:", "Oops"];

/// Shared by all handles of a node.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    restarts: Mutex<BTreeSet<String>>,
    trouble: Mutex<Vec<String>>,
}

impl Expected {
    pub(crate) fn restart(&self, service: &str) {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned());
    }

    pub(crate) fn restarts(&self, service: &str) -> bool {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).contains(service)
    }

    pub(crate) fn trouble(&self, text: &str) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }

    /// Those of the lines that nobody expects.
    pub(crate) fn unexpected(&self, lines: Vec<String>) -> Vec<String> {
        let texts = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let companion = |line: &String| COMPANIONS.iter().any(|word| line.contains(word));
        let known = |line: &String| {
            texts.iter().any(|text| line.contains(text)) || (!texts.is_empty() && companion(line))
        };
        lines.into_iter().filter(|line| !known(line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_declared_trouble_is_forgiven() {
        let expected = Expected::default();
        let lines =
            || ["Kernel panic - not syncing: x", "Call Trace:", "panicked at y"].map(str::to_owned).to_vec();
        assert_eq!(expected.unexpected(lines()).len(), 3);
        expected.trouble("Kernel panic");
        assert_eq!(expected.unexpected(lines()), ["panicked at y"]);
    }
}
