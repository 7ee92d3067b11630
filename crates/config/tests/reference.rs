//! The committed reference is what the sources say, and every example in it is accepted.
//!
//! `UPDATE=1 cargo test -p corten-config --test reference` writes the files again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod common;

use std::path::{Path, PathBuf};

use common::{config, controlplane, parse, worker};
use corten_config::{reference_markdown, schema};
use serde_json::Value;

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file)
}

fn fresh(file: &str, wanted: &str) {
    let path = docs(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(have == wanted, "docs/{file} is not what crates/config says; run with UPDATE=1 to write it");
}

#[test]
fn the_reference_page_is_fresh() {
    fresh("reference/config.md", &reference_markdown());
}

#[test]
fn the_schema_is_fresh() {
    fresh("reference/config.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn every_example_is_accepted() {
    let mut count = 0;
    for entry in std::fs::read_dir(docs("examples")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let kind = text.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap();
        let base = if ["APIServer", "Etcd"].contains(&kind) { controlplane() } else { worker() };
        // An example of a document that is always there takes the place of the generated one.
        let of_kind = |text: &&str| text.contains(&format!("kind: {kind}\n"));
        let others: Vec<&str> = base.split("\n---\n").filter(|text| !of_kind(text)).collect();
        let whole = format!("{}\n---\n{text}", others.join("\n---\n"));
        let config = parse(&whole).unwrap_or_else(|found| panic!("{}: {found}", path.display()));
        assert!(config.warnings().is_empty(), "{}: {:?}", path.display(), config.warnings());
        count += 1;
    }
    assert_eq!(count, schema()["oneOf"].as_array().unwrap().len(), "one example for each kind");
}

/// The decoder reads these words of JSON schema and no others: a type that needs more must teach it first.
#[test]
fn the_schema_uses_only_what_the_decoder_understands() {
    const KNOWN: &[&str] = &[
        "$schema",
        "title",
        "description",
        "type",
        "format",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "default",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "anyOf",
        "oneOf",
        "const",
        "enum",
        "x-secret",
        "x-effect",
        "x-keys",
        "x-list-key",
    ];
    fn walk(schema: &Value) {
        let Some(fields) = schema.as_object() else { return };
        for (key, value) in fields {
            assert!(KNOWN.contains(&key.as_str()), "{key} in {schema}");
            match key.as_str() {
                "properties" => value.as_object().unwrap().values().for_each(walk),
                "items" | "additionalProperties" => walk(value),
                "anyOf" | "oneOf" => value.as_array().unwrap().iter().for_each(walk),
                _ => {}
            }
        }
    }
    walk(&schema());
}

#[test]
fn every_key_is_explained_and_says_what_a_change_costs() {
    fn walk(schema: &Value, inherited: bool, path: &str) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for (key, field) in
            properties.iter().filter(|(key, _)| !["apiVersion", "kind"].contains(&key.as_str()))
        {
            let path = format!("{path}.{key}");
            let inner = field["anyOf"].get(0).unwrap_or(field);
            assert!(field["description"].is_string(), "{path} has no description");
            let effect = inherited || field["x-effect"].is_string();
            assert!(effect, "{path} does not say what a change costs");
            walk(inner, effect, &path);
            walk(&inner["items"], effect, &path);
        }
    }
    for kind in schema()["oneOf"].as_array().unwrap() {
        assert!(kind["description"].is_string());
        walk(kind, kind["x-effect"].is_string(), kind["properties"]["kind"]["const"].as_str().unwrap());
    }
}

#[test]
fn a_redacted_config_shows_no_secret_and_does_not_parse() {
    let config = config(controlplane());
    let text = config.to_yaml_redacted();
    for secret in [config.machine.token.expose(), config.cluster.token.expose(), "PRIVATE KEY"] {
        assert!(config.to_yaml().contains(secret) && !text.contains(secret), "{text}");
    }
    assert!(text.contains("<secret>") && parse(&text).is_err());
    assert!(!format!("{config:?}").contains("PRIVATE KEY"));
}
