//! Hides secrets in plain values, by what the schema says is secret.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::kinds::{Document, Kind};
use crate::words::required_part;

/// What stands in the place of a secret.
const HIDDEN: &str = "<secret>";

/// `value` without its secrets.
pub(crate) fn redact(value: &Value, schema: &Value) -> Value {
    let (schema, _) = required_part(schema);
    if schema.get("x-secret").is_some() {
        return HIDDEN.into();
    }
    match value {
        Value::Object(fields) => {
            let each = |(key, value): (&String, &Value)| (key.clone(), redact(value, &step(schema, key)));
            Value::Object(fields.iter().map(each).collect())
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| redact(item, &step(schema, "0"))).collect())
        }
        other => other.clone(),
    }
}

/// The schema of what is below `key`.
pub(crate) fn step<'a>(schema: &'a Value, key: &str) -> Cow<'a, Value> {
    let (schema, _) = required_part(schema);
    let below = schema
        .get("properties")
        .and_then(|all| all.get(key))
        .or_else(|| schema.get("items"))
        .or_else(|| schema.get("additionalProperties"));
    below.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
}

/// A document in YAML without its secrets.
pub(crate) fn yaml(document: &Document) -> String {
    plain_yaml(document.kind, redact(&document.value, document.kind.schema()))
}

/// A document of plain values in YAML, with its header.
pub(crate) fn plain_yaml(kind: &Kind, value: Value) -> String {
    let mut whole = Map::new();
    whole.insert("apiVersion".into(), json!(corten_constants::CONFIG_API_VERSION));
    whole.insert("kind".into(), json!(kind.name));
    if let Value::Object(fields) = value {
        whole.extend(fields);
    }
    // Cannot fail: the value has text keys only.
    serde_saphyr::to_string(&Value::Object(whole)).unwrap_or_default()
}
