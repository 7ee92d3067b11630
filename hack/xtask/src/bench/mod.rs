//! `cargo xtask bench`: the figures of the product, beside the targets.
//!
//! Each part is a section of `docs/specification.json`, of which `docs/specification.md` is made. Nothing here fails
//! because a target is missed: figures are for people, who know what else the machine did.

mod boot;
mod example;
mod guest;
mod host;
mod life;
mod native;
mod page;
mod report;
mod rpc;
mod sizes;
mod store;
mod tools;

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use corten_image::broken::Broken;

use self::host::Load;
use self::report::{Figure, Report, Section};
use crate::cache;
use crate::image::{self, Artifacts, programs};
use crate::packages::{self, Group};
use crate::progress;

const JSON: &str = "docs/specification.json";
const PAGE: &str = "docs/specification.md";

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Sizes of artifacts
    Sizes,
    /// The resource store
    Store,
    /// API calls to processes of this machine
    Rpc,
    /// A node in QEMU, direct kernel boot: boot, memory, reboot, power off
    Direct,
    /// A node in QEMU through the firmware: boot
    Firmware,
    /// A node in QEMU from the install medium: install, upgrade, rollback, failed upgrades
    Life,
}

const ALL: [Part; 6] = [Part::Sizes, Part::Store, Part::Rpc, Part::Direct, Part::Firmware, Part::Life];

/// Order of the sections on the page: what a user waits for comes first.
const ORDER: [&str; 6] = ["direct", "firmware", "life", "sizes", "rpc", "store"];

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
    /// Measure only these parts; the others keep their figures
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// Boots of each kind, of which the median counts
    #[arg(long, default_value_t = 3, value_name = "N")]
    boots: usize,
    /// Failed upgrades to measure: names of rows, or all, which takes hours
    #[arg(long, value_name = "ROW", value_delimiter = ',', default_value = "kernel-panic")]
    rows: Vec<String>,
    /// Leave docs/specification as it is
    #[arg(long)]
    keep: bool,
    /// Measure what is in _out, and do not look whether it is up to date
    #[arg(long)]
    no_build: bool,
}

/// Measures, prints, and writes `docs/specification.json` and `.md`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let parts: Vec<Part> =
        ALL.into_iter().filter(|part| args.only.is_empty() || args.only.contains(part)).collect();
    let report = measure(&parts, args)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", page::table(&report));
    }
    if args.keep { Ok(()) } else { keep(report) }
}

/// The page of figures, when there are any.
pub(crate) fn page() -> Result<Option<String>> {
    let report = Report::load(&cache::workspace_root().join(JSON))?;
    Ok(report.map(|report| page::markdown(&report)))
}

fn measure(parts: &[Part], args: &Args) -> Result<Report> {
    let rows = life::rows(&args.rows)?;
    let built = built(parts, &rows, args.no_build)?;
    progress::header("Benchmark");
    let mut sections = Vec::new();
    for part in parts {
        sections.push(match part {
            Part::Sizes => sizes::measure(&built)?,
            Part::Store => store::measure()?,
            Part::Rpc => rpc::measure(&built.machined, &built.osctl)?,
            Part::Direct => boot::direct(&built, args.boots)?,
            Part::Firmware => boot::firmware(&built, args.boots)?,
            Part::Life => life::measure(&built, &rows)?,
        });
    }
    Ok(Report { sections })
}

/// Brings up to date what the parts need, so that what is measured is this commit.
fn built(parts: &[Part], rows: &[Broken], no_build: bool) -> Result<Artifacts> {
    let boots = parts.iter().any(|part| matches!(part, Part::Direct | Part::Firmware | Part::Life));
    if boots {
        packages::ensure(Group::Qemu)?;
    }
    if !no_build && parts.contains(&Part::Life) {
        image::build_further(&life::further(rows))?;
    }
    if !no_build && (boots || parts.contains(&Part::Sizes)) {
        return image::build();
    }
    if !no_build && parts.contains(&Part::Rpc) {
        programs::build()?;
    }
    Ok(Artifacts::in_out())
}

fn keep(newer: Report) -> Result<()> {
    let (json, markdown) = (cache::workspace_root().join(JSON), cache::workspace_root().join(PAGE));
    let mut report = Report::load(&json)?.unwrap_or_default();
    report.merge(newer, &ORDER);
    report.save(&json)?;
    fs::write(&markdown, page::markdown(&report)).with_context(|| format!("write {PAGE}"))?;
    progress::note("bench", &format!("{JSON} and {PAGE} are written"));
    Ok(())
}

/// A section of now.
fn section(id: &str, title: &str, method: &str, load: Option<Load>, figures: Vec<Figure>) -> Result<Section> {
    let mut git = Command::new("git");
    git.current_dir(cache::workspace_root()).args(["describe", "--always", "--dirty=+"]);
    Ok(Section {
        id: id.to_owned(),
        title: title.to_owned(),
        method: method.to_owned(),
        measured: jiff::Zoned::now().date().to_string(),
        commit: progress::output(&mut git)?.trim().to_owned(),
        host: host::describe()?,
        load,
        figures,
    })
}
