//! The resource store: its own benchmark program, run and read.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::example;
use super::host::{self, Watch};
use super::report::{Figure, Section, Target, Unit};
use crate::progress;

/// What the program reports: key, what it means, the figure of Talos' store on one core.
const FIGURES: &[(&str, &str, Option<f64>)] = &[
    ("create_per_second", "create", Some(654_000.0)),
    ("update_per_second", "update with the expected version", Some(501_000.0)),
    ("put_per_second", "put that changes", None),
    ("put_unchanged_per_second", "put that changes nothing", None),
    ("get_per_second", "get", None),
    ("destroy_per_second", "destroy", None),
    ("watch_delivery_per_second", "changes delivered to a watcher", Some(740_000.0)),
    ("watch_present_per_second", "present state delivered to a new watcher", None),
    ("write_and_watch_per_second", "changes written and delivered, one core for both", None),
];

/// Builds and runs it.
pub(super) fn measure() -> Result<Section> {
    let step = progress::Step::start("bench/store", "compiling and measuring the store");
    let program = example::build("corten-store", "bench")?;
    let (watch, before) = (Watch::start()?, host::cpu_time_of_children()?);
    let text = progress::output(&mut Command::new(program))?;
    let load = watch.stop(host::cpu_time_of_children()?.saturating_sub(before))?;
    let report: Value = serde_json::from_str(text.trim()).context("read what the store's benchmark says")?;
    step.done("measured");
    let method = "Resources of 300 bytes, 100,000 of them, one thread, in its processor time. The targets are what \
                  Talos' store does on the same machine.";
    super::section("store", "Resource store", method, Some(load), figures(&report))
}

fn figures(report: &Value) -> Vec<Figure> {
    let value = |key: &str| report.get(key).and_then(Value::as_f64);
    let rates = FIGURES.iter().filter_map(|(key, name, target)| {
        let figure = Figure::new(*name, value(key)?, Unit::PerSecond);
        Some(target.iter().fold(figure, |figure, target| figure.aim(Target::AtLeast(*target))))
    });
    let heap =
        value("heap_bytes_per_resource").map(|bytes| Figure::new("memory of a resource", bytes, Unit::Bytes));
    rates.chain(heap.map(|figure| figure.aim(Target::AtMost(1100.0)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_figures_are_shown_and_missing_ones_left_out() {
        let report =
            serde_json::json!({ "create_per_second": 1_000_000, "heap_bytes_per_resource": 900, "new": 1 });
        let figures = figures(&report);
        let shown: Vec<_> = figures.iter().map(|figure| (figure.shown(), figure.reached())).collect();
        assert_eq!(shown, [("1,000,000/s".to_owned(), Some(true)), ("900 bytes".to_owned(), Some(true))]);
    }
}
