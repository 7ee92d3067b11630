//! Text to [`Config`]: read the trees, decode each document, then check what only the whole can tell.

use crate::check;
use crate::config::Config;
use crate::decode::Decoder;
use crate::diagnostic::{Code, Diagnostics};
use crate::kinds::{self, Count, Documents, KINDS, Kind};
use crate::nearest::nearest;
use crate::node::{Data, Mark, Node};
use crate::read::{SIZE_MAX, read};
use crate::report::{Finding, KEY_SHOWN, Report, shorten};

/// Where a text comes from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A file name, a URL, or a word such as `stdin`.
    pub name: String,
}

impl Source {
    /// A source of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// A document that was decoded, with its place.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) kind: &'static Kind,
    /// How many of this kind were decoded before it.
    pub(crate) index: usize,
    pub(crate) node: Node,
}

impl Config {
    /// Reads and checks a config. All errors are reported, not only the first, and warnings with them.
    pub fn parse(text: &str, source: &Source) -> Result<Self, Diagnostics> {
        let mut report = Report::new(&source.name, text);
        if text.len() > SIZE_MAX {
            let message = format!("the config has {} bytes", text.len());
            let hint = format!("a config has at most {SIZE_MAX} bytes; keep Kubernetes manifests out of it");
            report.add(Mark::default(), None, &[], Finding::error(Code::OutOfRange, message, hint));
            return Err(report.finish());
        }
        let mut documents = Documents::default();
        let mut seen = Seen::default();
        for node in read(text, &mut report) {
            document(node, &mut documents, &mut seen, &mut report);
        }
        if report.error_count() == 0 || !seen.kinds.is_empty() {
            missing(&seen, &mut report);
        }
        check::check(&documents, &seen.located, &mut report);
        let failed = report.error_count() > 0;
        let found = report.finish();
        match Self::from_documents(documents, found.items.clone()) {
            Some(config) if !failed => Ok(config),
            _ => Err(found),
        }
    }

    /// Like [`Config::parse`], for bytes that may not be text.
    pub fn parse_bytes(bytes: &[u8], source: &Source) -> Result<Self, Diagnostics> {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return Self::parse(text, source),
            Err(error) => error,
        };
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        let mark = Mark { line, column: 1, end_line: line, end_column: 1 };
        let mut report = Report::new(&source.name, "");
        let hint = "save the file as UTF-8, without compression";
        report.add(mark, None, &[], Finding::error(Code::Syntax, "the config is not UTF-8 text", hint));
        Err(report.finish())
    }
}

/// What was met so far.
#[derive(Default)]
struct Seen {
    /// Every kind that has a document, readable or not, with the line of the first one and its name.
    kinds: Vec<(&'static str, Option<String>, usize)>,
    located: Vec<Located>,
}

fn document(node: Node, documents: &mut Documents, seen: &mut Seen, report: &mut Report<'_>) {
    let errors = report.error_count();
    let Some(kind) = header(&node, report) else { return };
    let mut decoder = Decoder { report, kind: kind.name, path: Vec::new(), partial: false };
    let value = decoder.value(&node, kind.schema());
    let name = value.as_ref().ok().and_then(|value| kind.name_of(value));
    duplicate(kind, name.as_deref(), &node, seen, report);
    seen.kinds.push((kind.name, name, node.mark.line));
    let Ok(value) = value else { return };
    let index = seen.located.iter().filter(|other| other.kind.name == kind.name).count();
    if kind.count != Count::One && kind.count != Count::Optional || index == 0 {
        match documents.put(kind.name, value) {
            Ok(()) => seen.located.push(Located { kind, index, node }),
            // A form that the schema does not know: still an error with a place, and no panic.
            Err(error) if report.error_count() == errors => {
                let finding =
                    Finding::error(Code::BadValue, format!("cannot be read: {error}"), "see the reference");
                report.add(node.mark, Some(kind.name), &[], finding);
            }
            Err(_) => {}
        }
    }
}

/// Reads `apiVersion` and `kind`. Without a known kind, nothing else of the document can be judged.
pub(crate) fn header(node: &Node, report: &mut Report<'_>) -> Option<&'static Kind> {
    let Data::Mapping(_) = node.data else {
        if !matches!(node.data, Data::Invalid) {
            report.mask(node);
            let message = format!("a document is a mapping, and here is {}", node.describe());
            let hint = "start each document with `apiVersion: corten.dev/v1` and `kind: ...`";
            report.add(node.mark, None, &[], Finding::error(Code::WrongType, message, hint));
        }
        return None;
    };
    let word = |key| match node.entry(key).map(|entry| &entry.value) {
        Some(Node { data: Data::Scalar { text, .. }, mark }) => Some((text.as_str(), *mark)),
        _ => None,
    };
    let kind = word("kind").and_then(|(name, _)| kinds::find(name));
    if kind.is_none() {
        // Nothing is known of its keys: any may be a secret.
        report.mask(node);
    }
    let mark = Mark { end_line: 0, ..node.mark };
    let api_version = corten_constants::CONFIG_API_VERSION;
    if let Some((version, mark)) = word("apiVersion") {
        if version != api_version {
            let message = format!("unknown apiVersion {:?}", shorten(version, KEY_SHOWN));
            let finding =
                Finding::error(Code::ApiVersion, message, format!("write apiVersion: {api_version}"));
            report.add(
                mark,
                None,
                &["apiVersion"],
                finding.allowed(api_version).suggest(Some(api_version.into())),
            );
        }
    } else {
        let message = "the key `apiVersion` is missing";
        let finding = Finding::error(Code::ApiVersion, message, format!("add apiVersion: {api_version}"));
        report.add(mark, None, &[], finding.allowed(api_version));
    }
    match (kind, word("kind")) {
        (None, Some((name, mark))) => unknown_kind(name, mark, report),
        (None, None) => {
            let finding =
                Finding::error(Code::UnknownKind, "the key `kind` is missing", "add kind: and what it is");
            report.add(mark, None, &[], finding.allowed(kind_names().join(", ")));
        }
        _ => {}
    }
    kind
}

fn unknown_kind(name: &str, mark: Mark, report: &mut Report<'_>) {
    let near = nearest(name, kind_names());
    let hint = match near {
        Some(near) => format!("did you mean {near}?"),
        None => "a config holds documents of the OS, not Kubernetes objects; see the reference for the kinds"
            .into(),
    };
    let message = format!("unknown kind {:?}", shorten(name, KEY_SHOWN));
    let finding = Finding::error(Code::UnknownKind, message, hint).allowed(kind_names().join(", "));
    report.add(mark, None, &["kind"], finding.suggest(near.map(str::to_owned)));
}

fn duplicate(kind: &'static Kind, name: Option<&str>, node: &Node, seen: &Seen, report: &mut Report<'_>) {
    let keyed = matches!(kind.count, Count::Keyed(_));
    if keyed && name.is_none() {
        return;
    }
    let same = |other: &&(&str, Option<String>, usize)| other.0 == kind.name && other.1.as_deref() == name;
    let same_kind = |other: &&(&str, Option<String>, usize)| other.0 == kind.name;
    let first = if keyed { seen.kinds.iter().find(same) } else { seen.kinds.iter().find(same_kind) };
    let Some((_, _, line)) = first else { return };
    let message = match (keyed, name) {
        (true, Some(name)) => format!("there is already a {} document for {name}, in line {line}", kind.name),
        _ => format!("there is already a {} document, in line {line}", kind.name),
    };
    let mark = node.entry("kind").map_or(node.mark, |entry| entry.value.mark);
    report.add(
        mark,
        Some(kind.name),
        &[],
        Finding::error(Code::DuplicateDocument, message, "merge the two documents"),
    );
}

fn missing(seen: &Seen, report: &mut Report<'_>) {
    let required = KINDS.iter().filter(|kind| kind.count == Count::One);
    for kind in required.filter(|kind| seen.kinds.iter().all(|other| other.0 != kind.name)) {
        let message = format!("the document {} is missing", kind.name);
        let hint = "start from a config that `osctl gen config` wrote";
        report.add(
            Mark::default(),
            Some(kind.name),
            &[],
            Finding::error(Code::MissingDocument, message, hint),
        );
    }
}

fn kind_names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}
