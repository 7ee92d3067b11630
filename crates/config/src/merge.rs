//! Strategic merge: puts a partial document over a whole one, by what the schema says of its lists.
//!
//! Mappings merge key by key, and `null` takes a key away. Lists whose items have a key (`x-list-key`) merge item by
//! item; other lists are replaced. `$delete: true` takes the mapping around it away, `$replace: true` lets it stand
//! alone; as an item of a keyed list, `{$replace: true}` drops what was there.

use serde_json::{Map, Value};

use crate::decode::{DELETE, DIRECTIVES, REPLACE};
use crate::redact::step;
use crate::words::required_part;

/// Whether a patch takes the value away.
pub(crate) fn deletes(patch: &Value) -> bool {
    patch.is_null() || directive(patch, DELETE)
}

/// Puts `patch` over `target`.
pub(crate) fn merge(target: &mut Value, patch: Value, schema: &Value) {
    let replaces = directive(&patch, REPLACE);
    match patch {
        Value::Object(fields) => {
            if replaces || !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Value::Object(target) = target else { return };
            for (key, value) in fields.into_iter().filter(|(key, _)| !DIRECTIVES.contains(&key.as_str())) {
                if deletes(&value) {
                    target.remove(&key);
                } else {
                    merge(target.entry(key.clone()).or_insert(Value::Null), value, &step(schema, &key));
                }
            }
        }
        Value::Array(items) => match required_part(schema).0.get("x-list-key").and_then(Value::as_str) {
            Some(key) => merge_list(target, items, key, &step(schema, "0")),
            None => *target = Value::Array(items),
        },
        other => *target = other,
    }
}

fn merge_list(target: &mut Value, items: Vec<Value>, key: &str, schema: &Value) {
    if !target.is_array() || items.iter().any(|item| is_only(item, REPLACE)) {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(target) = target else { return };
    for item in items.into_iter().filter(|item| !is_only(item, REPLACE)) {
        let place = target.iter().position(|have| have.get(key).is_some() && have.get(key) == item.get(key));
        match (place, directive(&item, DELETE)) {
            (Some(place), true) => drop(target.remove(place)),
            (None, true) => {}
            (Some(place), false) => merge(&mut target[place], item, schema),
            (None, false) => {
                let mut new = Value::Null;
                merge(&mut new, item, schema);
                target.push(new);
            }
        }
    }
}

fn directive(patch: &Value, name: &str) -> bool {
    patch.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn is_only(item: &Value, name: &str) -> bool {
    directive(item, name) && item.as_object().is_some_and(|fields| fields.len() == 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(target: Value, patch: Value) -> Value {
        let schema = json!({ "properties": {
            "keyed": { "type": "array", "x-list-key": "id", "items": { "type": "object" } },
        } });
        let mut target = target;
        merge(&mut target, patch, &schema);
        target
    }

    #[test]
    fn mappings_merge_and_null_takes_away() {
        let target = json!({ "a": 1, "b": { "c": 2, "d": 3 } });
        assert_eq!(
            merged(target.clone(), json!({ "b": { "c": 5, "d": null } })),
            json!({ "a": 1, "b": { "c": 5 } })
        );
        assert_eq!(merged(target.clone(), json!({ "b": { "$delete": true } })), json!({ "a": 1 }));
        assert_eq!(
            merged(target, json!({ "b": { "$replace": true, "e": 1 } })),
            json!({ "a": 1, "b": { "e": 1 } })
        );
    }

    #[test]
    fn plain_lists_are_replaced() {
        assert_eq!(merged(json!({ "a": [1, 2] }), json!({ "a": [3] })), json!({ "a": [3] }));
    }

    #[test]
    fn keyed_lists_merge_by_key() {
        let target = json!({ "keyed": [{ "id": 1, "x": 1 }, { "id": 2 }] });
        let patch = json!({ "keyed": [{ "id": 1, "y": 2 }, { "id": 2, "$delete": true }, { "id": 3 }] });
        assert_eq!(
            merged(target.clone(), patch),
            json!({ "keyed": [{ "id": 1, "x": 1, "y": 2 }, { "id": 3 }] })
        );
        let patch = json!({ "keyed": [{ "$replace": true }, { "id": 3 }] });
        assert_eq!(merged(target, patch), json!({ "keyed": [{ "id": 3 }] }));
    }
}
