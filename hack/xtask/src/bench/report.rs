//! What was measured: figures with their targets, in sections that each know when and under what load they were taken.
//!
//! Kept as `docs/specification.json`. A run replaces the sections that it measured and leaves the others alone.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::host::Load;

/// All sections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) sections: Vec<Section>,
}

/// Figures that were taken together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// Stable: "boot-direct".
    pub(crate) id: String,
    pub(crate) title: String,
    /// How it was measured, one or two sentences.
    pub(crate) method: String,
    /// Day of the measurement.
    pub(crate) measured: String,
    /// Commit that was measured.
    pub(crate) commit: String,
    /// The machine, and what else it did.
    pub(crate) host: String,
    pub(crate) load: Option<Load>,
    pub(crate) figures: Vec<Figure>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// The median, when there are several samples.
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
    /// All samples in the order in which they were taken, when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) samples: Vec<f64>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// Of what a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "us")]
    Microseconds,
    /// Millions of bytes: artifacts.
    #[serde(rename = "MB")]
    Megabytes,
    /// 2^20 bytes: memory.
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "bytes")]
    Bytes,
    #[serde(rename = "/s")]
    PerSecond,
    #[serde(rename = "")]
    Count,
    /// How many times as much as something else.
    #[serde(rename = "times")]
    Times,
}

impl Figure {
    /// A number that was taken once.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { name: name.into(), value, unit, target: None, samples: Vec::new() }
    }

    /// The median of samples; nothing when there are none.
    pub(crate) fn median(name: impl Into<String>, samples: Vec<f64>, unit: Unit) -> Option<Self> {
        let value = percentile(&samples, 50)?;
        let samples = if samples.len() > 1 { samples } else { Vec::new() };
        Some(Self { samples, ..Self::new(name, value, unit) })
    }

    /// The same with a target.
    pub(crate) fn aim(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// Whether the target is met; `None` without one.
    pub(crate) fn reached(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtMost(limit) => self.value <= limit,
            Target::AtLeast(limit) => self.value >= limit,
        })
    }

    /// The number as people read it.
    pub(crate) fn shown(&self) -> String {
        self.unit.show(self.value)
    }

    /// The target as people read it, and whether it is met.
    pub(crate) fn verdict(&self) -> String {
        let sign = match self.target {
            None => return String::new(),
            Some(Target::AtMost(limit)) => format!("≤ {}", self.unit.show(limit)),
            Some(Target::AtLeast(limit)) => format!("≥ {}", self.unit.show(limit)),
        };
        format!("{sign} {}", if self.reached() == Some(true) { "reached" } else { "missed" })
    }

    /// Lowest and highest sample.
    pub(crate) fn spread(&self) -> String {
        let lowest = self.samples.iter().copied().reduce(f64::min);
        let highest = self.samples.iter().copied().reduce(f64::max);
        match (lowest, highest) {
            (Some(low), Some(high)) => format!("{} to {}", self.unit.show(low), self.unit.show(high)),
            _ => String::new(),
        }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.1} s"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Bytes => format!("{} bytes", thousands(value)),
            Self::PerSecond => format!("{}/s", thousands(value)),
            Self::Count => thousands(value),
            Self::Times => format!("{value:.2} times"),
        }
    }
}

/// `1234567` as `1,234,567`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// The sample below which this share of the samples lies.
pub(crate) fn percentile(samples: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?);
    sorted.get(index).copied()
}

impl Report {
    /// What was measured before; nothing before the first time.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Ok(Some(serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?))
    }

    /// Takes over the sections of a newer report. Sections are in the order of `ids`, whenever they were measured.
    pub(crate) fn merge(&mut self, newer: Self, ids: &[&str]) {
        for section in newer.sections {
            match self.sections.iter_mut().find(|old| old.id == section.id) {
                Some(old) => *old = section,
                None => self.sections.push(section),
            }
        }
        self.sections.sort_by_key(|section| ids.iter().position(|id| *id == section.id));
    }

    /// Writes it for people and programs to read.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        fs::write(path, format!("{}\n", serde_json::to_string_pretty(self)?))
            .with_context(|| format!("write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn section(id: &str, figures: Vec<Figure>) -> Section {
        Section {
            id: id.to_owned(),
            title: id.to_owned(),
            method: "by hand".to_owned(),
            measured: "2026-11-21".to_owned(),
            commit: "abc".to_owned(),
            host: "2 cores".to_owned(),
            load: None,
            figures,
        }
    }

    #[test]
    fn the_median_is_the_middle_sample_and_one_disturbed_boot_does_not_move_it() {
        let figure = Figure::median("ready", vec![90.0, 35.0, 36.0], Unit::Seconds).unwrap();
        assert_eq!((figure.shown().as_str(), figure.spread().as_str()), ("36.0 s", "35.0 s to 90.0 s"));
        assert_eq!(Figure::median("none", Vec::new(), Unit::Seconds), None);
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 99), Some(4.0));
    }

    #[test]
    fn targets_are_judged_in_their_direction() {
        let slow = Figure::new("api", 7.1, Unit::Seconds).aim(Target::AtMost(7.0));
        let fast = Figure::new("rate", 15_000.0, Unit::PerSecond).aim(Target::AtLeast(15_000.0));
        assert_eq!((slow.reached(), fast.reached()), (Some(false), Some(true)));
        assert_eq!(
            (slow.verdict().as_str(), fast.verdict().as_str()),
            ("≤ 7.0 s missed", "≥ 15,000/s reached")
        );
    }

    #[test]
    fn numbers_read_well() {
        let shown = [0.0, 999.0, 1000.0, 1_234_567.4].map(|value| Unit::Count.show(value));
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_ratio_shows_what_one_digit_would_hide() {
        let figure = Figure::new("x", 1.34, Unit::Times).aim(Target::AtMost(1.3));
        assert_eq!(
            (figure.shown().as_str(), figure.verdict().as_str()),
            ("1.34 times", "≤ 1.30 times missed")
        );
    }

    #[test]
    fn a_new_section_replaces_the_old_one_and_the_rest_stays() {
        let mut report = Report { sections: vec![section("a", Vec::new()), section("b", Vec::new())] };
        let newer = section("a", vec![Figure::new("x", 1.0, Unit::Count)]);
        report.merge(Report { sections: vec![newer.clone(), section("c", Vec::new())] }, &["c", "a", "b"]);
        let ids: Vec<&str> = report.sections.iter().map(|section| section.id.as_str()).collect();
        assert_eq!(ids, ["c", "a", "b"]);
        assert_eq!(report.sections[1], newer);
    }

    #[test]
    fn a_report_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        assert_eq!(Report::load(&path).unwrap(), None);
        let figure =
            Figure::median("x", vec![1.5, 2.5], Unit::Milliseconds).unwrap().aim(Target::AtMost(2.0));
        let report = Report { sections: vec![section("a", vec![figure])] };
        report.save(&path).unwrap();
        assert_eq!(Report::load(&path).unwrap(), Some(report));
    }
}
