//! What the schema cannot say: values that contradict each other, and what is legal but odd.
//!
//! Runs on whatever documents could be read, so that one mistake does not hide the next.

mod cluster;
mod keys;
mod kubelet_fields;
mod kubernetes;
mod link;
mod registry;
mod system;

use crate::diagnostic::Code;
use crate::kinds::{self, Documents};
use crate::node::Mark;
use crate::parse::Located;
use crate::report::{Finding, Report};

/// Runs every check.
pub(crate) fn check(documents: &Documents, located: &[Located], report: &mut Report<'_>) {
    let mut checker = Checker { documents, located, report };
    keys::check(&mut checker);
    cluster::check(&mut checker);
    link::check(&mut checker);
    kubernetes::check(&mut checker);
    registry::check(&mut checker);
    system::check(&mut checker);
}

struct Checker<'c, 'a> {
    documents: &'c Documents,
    located: &'c [Located],
    report: &'c mut Report<'a>,
}

/// A place in a document: its kind, which one of them, and the steps to the value.
struct Place<'p> {
    kind: &'static str,
    index: usize,
    path: &'p [&'p str],
}

impl<'p> Place<'p> {
    fn new(kind: &'static str, index: usize, path: &'p [&'p str]) -> Self {
        Self { kind, index, path }
    }
}

impl Checker<'_, '_> {
    fn contradiction(&mut self, place: &Place<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.add(place, Finding::error(Code::Contradiction, message, hint));
    }

    fn warning(&mut self, place: &Place<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.add(place, Finding::warning(message, hint));
    }

    fn add(&mut self, place: &Place<'_>, finding: Finding) {
        let wanted = kinds::find(place.kind).map(|kind| kind.name);
        let document =
            self.located.iter().find(|other| Some(other.kind.name) == wanted && other.index == place.index);
        let mark = document.map_or_else(Mark::default, |document| {
            let mark = document.node.locate(place.path);
            // A finding about something that is not there points at where it would be.
            if mark == document.node.mark { Mark { end_line: 0, ..mark } } else { mark }
        });
        self.report.add(mark, Some(place.kind), place.path, finding);
    }
}
