//! The words of JSON schema that our types use, read from a schema.

use serde_json::Value;

use crate::formats;

/// The two keys that every document starts with.
pub(crate) fn is_header(key: &str) -> bool {
    key == "apiVersion" || key == "kind"
}

/// Takes `null` out of what is allowed, and says whether it was there.
pub(crate) fn required_part(schema: &Value) -> (&Value, bool) {
    let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
    match schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one, null]) if is_null(null) => (one, true),
        _ => (schema, schema.get("type").is_some_and(Value::is_array)),
    }
}

/// The name of the type, without `null`.
pub(crate) fn type_of(schema: &Value) -> Option<&str> {
    let kind = schema.get("type")?;
    kind.as_str().or_else(|| kind.as_array()?.iter().filter_map(Value::as_str).find(|name| *name != "null"))
}

/// The words of an enumeration.
pub(crate) fn constants(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let branches = schema.get("oneOf")?.as_array()?;
    branches.iter().map(|branch| branch.get("const")?.as_str()).collect()
}

pub(crate) fn expected(schema: Option<&Value>) -> Option<String> {
    let (schema, _) = required_part(schema?);
    if let Some(words) = constants(schema) {
        return Some(words.join(", "));
    }
    let format = schema.get("format").and_then(Value::as_str).and_then(formats::find);
    format.map(|format| format.allowed.to_owned())
}

/// Smallest and largest number.
pub(crate) struct Range {
    min: i64,
    max: i64,
}

impl Range {
    pub(crate) fn of(schema: &Value) -> Self {
        let limit = |name| schema.get(name).and_then(Value::as_i64);
        let widest = match schema.get("format").and_then(Value::as_str) {
            Some("uint8") => (0, i64::from(u8::MAX)),
            Some("uint16") => (0, i64::from(u16::MAX)),
            Some("uint32") => (0, i64::from(u32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        Self { min: limit("minimum").unwrap_or(widest.0), max: limit("maximum").unwrap_or(widest.1) }
    }

    pub(crate) fn holds(&self, number: i64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a whole number, {} to {}", self.min, self.max)
    }
}
