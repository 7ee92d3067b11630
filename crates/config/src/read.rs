//! Text to trees: splits the documents, and refuses the parts of YAML that surprise people.
//!
//! Aliases, anchors and tags are refused: a config says what it means in one place, and a small text cannot grow.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::diagnostic::Code;
use crate::node::{Data, Entry, Mark, Node};
use crate::report::{Finding, KEY_SHOWN, Report, shorten};

/// Deepest nesting; our documents need six levels, raw Kubernetes settings a few more.
const DEPTH_MAX: usize = 64;
/// Longest text, in bytes.
pub(crate) const SIZE_MAX: usize = 1 << 20;

/// The documents of `text` that are not empty. What cannot be read is reported, and what came before it is kept.
pub(crate) fn read(text: &str, report: &mut Report<'_>) -> Vec<Node> {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut builder = Builder { report, stack: Vec::new(), documents: Vec::new() };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.event(event, mark(span)),
            Err(error) => {
                builder.syntax(&error);
                break;
            }
        }
    }
    builder.documents
}

struct Builder<'r, 'a> {
    report: &'r mut Report<'a>,
    stack: Vec<Open>,
    documents: Vec<Node>,
}

/// A collection that is not closed yet.
enum Open {
    Sequence(Mark, Vec<Node>),
    Mapping { mark: Mark, entries: Vec<Entry>, lines: HashMap<String, usize>, key: Option<Node> },
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, mark: Mark) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(mark, anchor, tag.is_some());
                let data = Data::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.place(Node { mark, data });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(mark, anchor, tag.is_some());
                self.stack.push(Open::Sequence(mark, Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(mark, anchor, tag.is_some());
                self.stack.push(Open::Mapping {
                    mark,
                    entries: Vec::new(),
                    lines: HashMap::new(),
                    key: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(mark),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let finding =
                    Finding::error(Code::Syntax, "aliases (*name) are not supported", "write the value out");
                self.report.add(mark, None, &[], finding);
                self.place(Node { mark, data: Data::Invalid });
            }
            _ => {}
        }
    }

    fn refuse_properties(&mut self, mark: Mark, anchor: usize, tagged: bool) {
        let (what, hint) = match (anchor, tagged) {
            (0, false) => return,
            (0, true) => {
                ("tags (!name) are not supported", "remove the tag; quote the value if it is a text")
            }
            _ => (
                "anchors (&name) are not supported",
                "remove the anchor and write the value out where it is used",
            ),
        };
        self.report.add(mark, None, &[], Finding::error(Code::Syntax, what, hint));
    }

    fn close(&mut self, end: Mark) {
        let (mark, data) = match self.stack.pop() {
            Some(Open::Sequence(mark, items)) => (mark, Data::Sequence(items)),
            Some(Open::Mapping { mark, entries, .. }) => (mark, Data::Mapping(entries)),
            None => return,
        };
        let mark = Mark { end_line: end.end_line, end_column: end.end_column, ..mark };
        self.place(Node { mark, data });
    }

    fn place(&mut self, node: Node) {
        match self.stack.last_mut() {
            None if node.is_null() => {}
            None => self.documents.push(node),
            Some(Open::Sequence(_, items)) => items.push(node),
            Some(Open::Mapping { entries, lines, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(key) => insert(entries, lines, key, node, self.report),
            },
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let mark = point(error.marker().line(), error.marker().col() + 1);
        let info = error.info();
        let hint = match info.to_lowercase() {
            text if text.contains("tab") => "indent with spaces",
            text if text.contains("limit") => "the text is nested too deeply",
            _ => "check indentation, quotes and brackets here and in the line above",
        };
        self.report.add(
            mark,
            None,
            &[],
            Finding::error(Code::Syntax, format!("not valid YAML: {info}"), hint),
        );
    }
}

fn insert(
    entries: &mut Vec<Entry>,
    lines: &mut HashMap<String, usize>,
    key: Node,
    value: Node,
    report: &mut Report<'_>,
) {
    let Data::Scalar { text, .. } = key.data else {
        let finding =
            Finding::error(Code::Syntax, "a key must be a single word", "put quotes around the key");
        report.add(key.mark, None, &[], finding);
        return;
    };
    if let Some(first) = lines.get(&text) {
        let message = format!("the key `{}` is already set in line {first}", shorten(&text, KEY_SHOWN));
        let finding = Finding::error(Code::DuplicateKey, message, "keep one of the two");
        report.add(key.mark, None, &[], finding);
        report.mask(&value);
        return;
    }
    lines.insert(text.clone(), key.mark.line);
    entries.push(Entry { key: text, mark: key.mark, value });
}

fn mark(span: Span) -> Mark {
    Mark {
        line: span.start.line(),
        column: span.start.col() + 1,
        end_line: span.end.line(),
        end_column: span.end.col() + 1,
    }
}

fn point(line: usize, column: usize) -> Mark {
    Mark { line, column, end_line: line, end_column: column + 1 }
}
