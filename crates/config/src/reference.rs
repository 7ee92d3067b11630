//! The JSON schema and the reference page, both from the types' doc comments.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::formats;
use crate::kinds::{Count, KINDS, Kind};
use crate::words::{constants, required_part, type_of};

/// JSON schema (draft 2020-12) of one document; editors take it for each document of a file.
pub fn schema() -> Value {
    let documents: Vec<Value> = KINDS.iter().map(document_schema).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Corten config document",
        "oneOf": documents,
    })
}

fn document_schema(kind: &Kind) -> Value {
    let mut schema = kind.schema().clone();
    let header = [("apiVersion", corten_constants::CONFIG_API_VERSION), ("kind", kind.name)];
    for (key, value) in header {
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.insert(key.to_owned(), json!({ "const": value }));
        }
    }
    if let Value::Object(fields) = &mut schema {
        let required = fields.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(names) = required {
            names.extend([json!("apiVersion"), json!("kind")]);
        }
    }
    schema
}

/// The reference page in Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("| kind | how many | what it is |\n|---|---|---|\n");
    for kind in KINDS {
        let first = first_sentence(&kind.description());
        line(
            &mut page,
            &format!("| [{0}](#{1}) | {2} | {first} |", kind.name, kind.name.to_lowercase(), how_many(kind)),
        );
    }
    for kind in KINDS {
        document_page(&mut page, kind);
    }
    page
}

const INTRODUCTION: &str = "\
# Config reference

<!-- Generated from crates/config by `UPDATE=1 cargo test -p corten-config`. Do not edit. -->

A config is one text of several YAML documents, separated by `---`. Each starts with `apiVersion: corten.dev/v1` and
its `kind`. Unknown keys, repeated keys and wrong values are refused, all in one answer; `osctl validate` gives the same
answer as the machine. Anchors, aliases and tags are not supported. The [JSON schema](config.schema.json) helps editors.

What a change costs: **live** interrupts nothing, **restart** restarts the named service, **reboot** holds from the next
boot on.

";

fn document_page(page: &mut String, kind: &Kind) {
    line(page, &format!("\n## {}\n\n{}\n", kind.name, kind.description()));
    page.push_str("| key | type | change | meaning |\n|---|---|---|---|\n");
    let schema = kind.schema();
    rows(page, schema, "", effect(schema));
    line(page, &format!("\n```yaml\n{}\n```", kind.example.trim_end()));
}

/// A row for each key, those of nested mappings after their parent.
fn rows(page: &mut String, schema: &Value, prefix: &str, inherited: Option<&str>) {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required = |key: &str| {
        let names = schema.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|name| name == key))
    };
    for (key, field) in properties {
        let (inner, _) = required_part(field);
        let effect = effect(field).or(inherited);
        let mut meaning =
            text(field, "description").or_else(|| text(inner, "description")).unwrap_or_default();
        meaning = meaning.replace('\n', " ").replace('|', "\\|");
        if required(key) {
            meaning.push_str(" **Required.**");
        } else if let Some(default) = field.get("default").filter(|default| is_telling(default)) {
            let _ = write!(meaning, " Default: `{default}`.");
        }
        let cost = effect.unwrap_or("reboot").replace(':', " ");
        line(page, &format!("| `{prefix}{key}` | {} | {cost} | {meaning} |", type_name(inner)));
        rows(page, inner, &format!("{prefix}{key}."), effect);
        if let Some(items) = inner.get("items") {
            rows(page, items, &format!("{prefix}{key}[]."), effect);
        }
    }
}

/// Whether a default is worth a word: nothing and empty lists speak for themselves.
fn is_telling(default: &Value) -> bool {
    match default {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn type_name(schema: &Value) -> String {
    if let Some(words) = constants(schema) {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    match type_of(schema) {
        Some("string") => match text(schema, "format").as_deref().and_then(formats::find) {
            Some(format) => format!("text: {}", format.allowed),
            None => "text".to_owned(),
        },
        Some("integer") => "number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => {
            format!("list of {}", schema.get("items").map_or_else(|| "anything".into(), type_name))
        }
        Some("object") if schema.get("properties").is_some() => "mapping".to_owned(),
        Some("object") => "mapping with keys of your own".to_owned(),
        _ => "anything".to_owned(),
    }
}

fn how_many(kind: &Kind) -> &'static str {
    match kind.count {
        Count::One => "exactly one",
        Count::Optional => "at most one",
        Count::Keyed(_) => "any number",
    }
}

impl Kind {
    /// What it is: the type's doc comment.
    pub(crate) fn description(&self) -> String {
        text(self.schema(), "description").unwrap_or_default()
    }
}

fn first_sentence(description: &str) -> String {
    let line = description.replace('\n', " ");
    line.split_once(". ").map_or(line.clone(), |(first, _)| format!("{first}."))
}

fn effect(schema: &Value) -> Option<&str> {
    schema.get("x-effect").and_then(Value::as_str)
}

fn text(schema: &Value, key: &str) -> Option<String> {
    schema.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}
