//! Patches: a strategic merge of documents, or a list of RFC 6902 operations, put over a whole config.
//!
//! The result goes through [`Config::parse`], so that a patch can make nothing that a node would refuse.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::decode::Decoder;
use crate::diagnostic::{Code, Diagnostics};
use crate::kinds::{Count, KINDS, Kind};
use crate::merge::{deletes, merge};
use crate::node::{Data, Mark, Node};
use crate::parse::{Source, header};
use crate::read::read;
use crate::redact::plain_yaml;
use crate::report::{Finding, Report};

/// A document on its way: its kind and its value without the header.
type Patched = (&'static Kind, Value);

impl Config {
    /// The config with `patch` put over it.
    ///
    /// A text that is a list is a JSON patch (RFC 6902), whose paths start with the document: `/Cluster/name`,
    /// `/Link:eth0/mtu`. Any other text is one or more partial documents that are merged into those of the same kind
    /// and name, or added.
    pub fn patch(&self, patch: &str, source: &Source) -> Result<Self, Diagnostics> {
        let mut report = Report::new(&source.name, patch);
        let nodes = read(patch, &mut report);
        let base: Vec<Patched> =
            self.list().into_iter().map(|document| (document.kind, document.value)).collect();
        let patched = match nodes.as_slice() {
            [only] if matches!(only.data, Data::Sequence(_)) => operations(base, only, &mut report),
            _ => partial_documents(base, nodes, &mut report),
        };
        if report.error_count() > 0 {
            return Err(report.finish());
        }
        let text: Vec<String> = patched.into_iter().map(|(kind, value)| plain_yaml(kind, value)).collect();
        Self::parse(&text.join("---\n"), &Source::new(format!("the config after {}", source.name)))
    }
}

fn partial_documents(mut base: Vec<Patched>, nodes: Vec<Node>, report: &mut Report<'_>) -> Vec<Patched> {
    for node in nodes {
        let Some(kind) = header(&node, report) else { continue };
        let mut decoder = Decoder { report, kind: kind.name, path: Vec::new(), partial: true };
        let Ok(patch) = decoder.value(&node, kind.schema()) else { continue };
        let name = kind.name_of(&patch);
        let place = base.iter().position(|(other, value)| *other == kind && kind.name_of(value) == name);
        match (place, deletes(&patch)) {
            (Some(place), true) => drop(base.remove(place)),
            (None, true) => {
                let message = format!("there is no {} document to delete", described(kind, name.as_deref()));
                let hint = "remove the patch, or correct the kind and the name";
                report.add(start(&node), Some(kind.name), &[], Finding::error(Code::BadValue, message, hint));
            }
            (Some(place), false) => merge(&mut base[place].1, patch, kind.schema()),
            (None, false) => {
                let mut new = Value::Null;
                merge(&mut new, patch, kind.schema());
                base.push((kind, new));
            }
        }
    }
    base
}

/// RFC 6902 over one object that holds every document under `Kind` or `Kind:name`.
fn operations(base: Vec<Patched>, node: &Node, report: &mut Report<'_>) -> Vec<Patched> {
    // Any value may be a secret.
    report.mask(node);
    let mut decoder = Decoder { report, kind: "patch", path: Vec::new(), partial: false };
    let Ok(list) = decoder.value(node, &Value::Null) else { return base };
    let operations = match serde_json::from_value::<json_patch::Patch>(list) {
        Ok(operations) => operations,
        Err(error) => {
            let message = format!("not a JSON patch: {error}");
            let hint =
                "each operation has op (add, remove, replace, move, copy, test), path, and value or from";
            report.add(start(node), None, &[], Finding::error(Code::WrongType, message, hint));
            return base;
        }
    };
    let named = |(kind, value): &Patched| (described(kind, kind.name_of(value).as_deref()), value.clone());
    let mut target = Value::Object(base.iter().map(named).collect());
    if let Err(error) = json_patch::patch(&mut target, &operations) {
        let index = error.operation.to_string();
        let known = documents(&target);
        let message = format!("the operation on {} fails: {}", error.path, error.kind);
        let hint = "a path starts with the document, as in /Cluster/name or /Link:eth0/mtu";
        let finding = Finding::error(Code::BadValue, message, hint).allowed(known);
        report.add(node.locate(&[index.as_str(), "path"]), None, &[index.as_str(), "path"], finding);
        return base;
    }
    let Value::Object(whole) = target else {
        let hint = "a patch changes documents; it cannot take the place of them all";
        report.add(start(node), None, &[], Finding::error(Code::BadValue, "the config is gone", hint));
        return base;
    };
    whole.into_iter().filter_map(|(key, value)| by_key(&key, value, node, report)).collect()
}

fn by_key(key: &str, value: Value, node: &Node, report: &mut Report<'_>) -> Option<Patched> {
    let name = key.split(':').next().unwrap_or(key);
    let kind = crate::kinds::find(name);
    if kind.is_none() {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let message = format!("unknown kind {name:?} in a path");
        let hint = "a path starts with the document, as in /Cluster/name or /Link:eth0/mtu";
        let finding = Finding::error(Code::UnknownKind, message, hint).allowed(names.join(", "));
        report.add(start(node), None, &[], finding);
    }
    Some((kind?, value))
}

fn documents(target: &Value) -> String {
    let keys = target.as_object().into_iter().flat_map(Map::keys);
    keys.map(|key| format!("/{key}")).collect::<Vec<_>>().join(", ")
}

/// `Cluster`, `Link:eth0`.
fn described(kind: &Kind, name: Option<&str>) -> String {
    match (kind.count, name) {
        (Count::Keyed(_), Some(name)) => format!("{}:{name}", kind.name),
        _ => kind.name.to_owned(),
    }
}

fn start(node: &Node) -> Mark {
    Mark { end_line: 0, ..node.mark }
}
