//! What changes between two configs, and what each change costs. Secrets are hidden.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;
use crate::kinds::Document;
use crate::redact::{redact, step};
use crate::report::pretty_path;
use crate::words::required_part;

/// What a change costs. The order is that of the cost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing is interrupted.
    Live,
    /// This service is restarted.
    Restart(String),
    /// It holds from the next boot on.
    Reboot,
}

/// One difference between two configs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Kind of the document.
    pub kind: String,
    /// Which document of this kind, where there can be several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where in the document, as in `routes[0].via`; empty when the whole document comes or goes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What was there, secrets hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What is there now, secrets hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// What it costs.
    pub effect: Effect,
}

/// The differences, in the order of the kinds.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let (old, new) = (old.list(), new.list());
    let counterpart = |of: &Document, among: &[Document]| {
        among.iter().find(|other| other.kind == of.kind && other.name == of.name).cloned()
    };
    let mut changes = Vec::new();
    for document in &old {
        let after = counterpart(document, &new);
        compare(document, Some(&document.value), after.as_ref().map(|after| &after.value), &mut changes);
    }
    for document in new.iter().filter(|document| counterpart(document, &old).is_none()) {
        compare(document, None, Some(&document.value), &mut changes);
    }
    changes
}

impl Effect {
    fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("restart", service)) => Self::Restart(service.to_owned()),
            _ if text == "live" => Self::Live,
            _ => Self::Reboot,
        }
    }
}

fn compare(document: &Document, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    let schema = document.kind.schema();
    let mut walk = Walk { document, path: Vec::new(), changes };
    match (old, new) {
        (Some(old), Some(new)) => walk.values(Some(old), Some(new), schema, effect_of(schema)),
        _ => walk.change(old, new, schema, costliest(schema, old.or(new))),
    }
}

struct Walk<'d, 'c> {
    document: &'d Document,
    path: Vec<String>,
    changes: &'c mut Vec<Change>,
}

impl Walk<'_, '_> {
    fn values(&mut self, old: Option<&Value>, new: Option<&Value>, schema: &Value, effect: Option<&str>) {
        if old == new {
            return;
        }
        let effect = effect_of(schema).or(effect);
        match (old, new) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                    self.path.push(key.clone());
                    self.values(old.get(key), new.get(key), &step(schema, key), effect);
                    self.path.pop();
                }
            }
            _ => self.change(old, new, schema, effect.map_or(Effect::Reboot, Effect::parse)),
        }
    }

    fn change(&mut self, old: Option<&Value>, new: Option<&Value>, schema: &Value, effect: Effect) {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        self.changes.push(Change {
            kind: self.document.kind.name.to_owned(),
            name: self.document.name.clone(),
            path: pretty_path(&path),
            old: old.map(|old| redact(old, schema)),
            new: new.map(|new| redact(new, schema)),
            effect,
        });
    }
}

/// What the type says about changes of it; fields inherit from the type around them.
fn effect_of(schema: &Value) -> Option<&str> {
    schema.get("x-effect").or_else(|| required_part(schema).0.get("x-effect")).and_then(Value::as_str)
}

/// The cost of a whole document: that of its costliest field.
fn costliest(schema: &Value, value: Option<&Value>) -> Effect {
    let own = effect_of(schema);
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    let effects =
        fields.map(|(key, _)| effect_of(&step(schema, key)).or(own).map_or(Effect::Reboot, Effect::parse));
    effects.max().unwrap_or(Effect::Live)
}
