//! `cargo xtask test`: every tier, quickest first, each test by name with its time, and one closing line.
//!
//! A tier that fails does not stop the next one: one run shows everything that is wrong. The image is built
//! between the quick tiers and the VM tier, from the cache when nothing changed.

mod tally;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cache;
use crate::image::{self, Further};
use crate::packages::{self, Group};
use crate::progress::{self, elapsed};

use tally::Tally;

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains this
    name: Option<String>,
    /// Only this tier
    #[arg(long)]
    tier: Option<Tier>,
    /// Run the tests that take turns too, and long matrices whole, where a usual run takes the share of the day
    #[arg(long)]
    long: bool,
    /// Test the image that is in _out, and do not look whether it is up to date
    #[arg(long)]
    no_build: bool,
}

/// A tier of tests: what it needs and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tier {
    /// Milliseconds each, no root
    Unit,
    /// Seconds each, in namespaces of this machine
    Netns,
    /// Minutes each, the shipped image in QEMU
    Vm,
}

const TIERS: [Tier; 3] = [Tier::Unit, Tier::Netns, Tier::Vm];

/// Runs the tiers and says how it went.
pub(crate) fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    let mut results = Vec::new();
    for tier in TIERS.into_iter().filter(|tier| args.tier.is_none_or(|wanted| wanted == *tier)) {
        progress::header(tier.title());
        let begun = Instant::now();
        let tally = tier.run(args).unwrap_or_else(|error| {
            progress::note(tier.title(), &format!("{error:#}"));
            Tally::broken(tier.title())
        });
        results.push((tier, tally, begun.elapsed()));
    }
    report(&results, started.elapsed())
}

/// The last lines: a line a tier, what was skipped and what failed by name, and the sum.
fn report(results: &[(Tier, Tally, Duration)], total: Duration) -> Result<()> {
    progress::header("Result");
    for (tier, tally, took) in results {
        progress::note(tier.title(), &format!("{tally} in {}", elapsed(*took)));
    }
    let sum = results.iter().fold(Tally::default(), |sum, (_, tally, _)| sum.plus(tally));
    for skipped in &sum.skipped {
        progress::note("skipped", skipped);
    }
    for failed in &sum.failed {
        progress::note("failed", failed);
    }
    progress::note("all tiers", &format!("in {}", elapsed(total)));
    println!("{sum}");
    if sum.failed.is_empty() { Ok(()) } else { bail!("tests failed") }
}

impl Tier {
    fn title(self) -> &'static str {
        match self {
            Self::Unit => "Unit tests",
            Self::Netns => "Namespace tests",
            Self::Vm => "VM tests",
        }
    }

    fn run(self, args: &Args) -> Result<Tally> {
        self.prepare(args)?;
        let mut command = Command::new("cargo");
        command.current_dir(cache::workspace_root()).args(self.cargo());
        command.args(["--no-fail-fast", "--", "--show-output"]);
        if self != Self::Unit {
            command.arg("--test-threads=1");
        }
        command.args(&args.name);
        if args.long {
            command.env("CORTEN_TEST_LONG", "1");
        }
        tally::follow(&mut command, &self.log())
    }

    /// Installs and builds what the tier needs.
    fn prepare(self, args: &Args) -> Result<()> {
        match self {
            Self::Unit => packages::ensure(Group::Build),
            Self::Netns => packages::ensure(Group::Netns),
            Self::Vm => {
                packages::ensure(Group::Qemu)?;
                if !args.no_build {
                    image::build()?;
                    image::check_reproducible()?;
                    image::build_further(&Further::ALL)?;
                }
                Ok(())
            }
        }
    }

    fn cargo(self) -> &'static [&'static str] {
        match self {
            Self::Unit => {
                &["test", "--workspace", "--exclude", "corten-vm-tests", "--exclude", "corten-netns-tests"]
            }
            Self::Netns => &["test", "--package", "corten-netns-tests"],
            Self::Vm => &["test", "--package", "corten-vm-tests"],
        }
    }

    fn log(self) -> PathBuf {
        let name = match self {
            Self::Unit => "unit",
            Self::Netns => "netns",
            Self::Vm => "vm",
        };
        cache::out_dir().join("log").join(format!("test-{name}.log"))
    }
}
