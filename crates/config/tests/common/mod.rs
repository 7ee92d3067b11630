//! A whole config to start from, made once.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod expect;

use std::sync::OnceLock;

use corten_config::{Config, Diagnostics, GenOptions, Generated, Source, generate};
use corten_pki::SecretsBundle;

pub(crate) fn generated() -> &'static Generated {
    static GENERATED: OnceLock<Generated> = OnceLock::new();
    GENERATED.get_or_init(|| {
        let secrets = SecretsBundle::generate().unwrap();
        generate(&GenOptions::new("test", "https://192.0.2.10:6443".parse().unwrap(), secrets)).unwrap()
    })
}

pub(crate) fn controlplane() -> &'static str {
    &generated().controlplane_yaml
}

pub(crate) fn worker() -> &'static str {
    &generated().worker_yaml
}

pub(crate) fn parse(text: &str) -> Result<Config, Diagnostics> {
    Config::parse(text, &Source::new("node.yaml"))
}

pub(crate) fn config(text: &str) -> Config {
    parse(text).unwrap_or_else(|found| panic!("{found}"))
}

/// `base` with a further document of `kind`.
pub(crate) fn with(base: &str, kind: &str, body: &str) -> String {
    format!("{base}---\napiVersion: corten.dev/v1\nkind: {kind}\n{body}")
}
