//! Plans and writes system disks on a host, with the code that the node uses: for benches, and for images on real disks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use installer::device::{Device, Disk, SectorSize};
use installer::entry::EntryName;
use installer::install::{self, Identities, Plan, Progress, Source};
use installer::selector::{self, DiskFacts};
use installer::{content, esp, slot};

/// Writes Corten to a disk or a file.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what would be done.
    Plan(Target),
    /// Does it.
    Install(Install),
}

#[derive(Debug, Args)]
struct Target {
    /// Disk, or file
    #[arg(long)]
    disk: PathBuf,
    /// Bytes of a file that is made when it is not there
    #[arg(long)]
    size: Option<u64>,
    /// Bytes of a logical sector
    #[arg(long, default_value_t = 512)]
    sector_size: u64,
    /// Root hash of the root image
    #[arg(long)]
    root_hash: String,
    /// Erase what is not ours
    #[arg(long)]
    wipe: bool,
}

#[derive(Debug, Args)]
struct Install {
    #[command(flatten)]
    target: Target,
    /// Root image, with its hash tree
    #[arg(long)]
    root: PathBuf,
    /// Unified kernel image
    #[arg(long)]
    uki: PathBuf,
    /// Boot loader
    #[arg(long)]
    loader: PathBuf,
    /// Version of the system
    #[arg(long, default_value = "0.0.0")]
    version: semver::Version,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Plan(target) => plan(&target),
        Command::Install(install) => run(&install),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(error.as_ref());
            while let Some(error) = cause {
                let _ = writeln!(io::stderr(), "{error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn plan(target: &Target) -> Result<(), Failure> {
    let sector = SectorSize::try_from(target.sector_size)?;
    let disk = match &target.size {
        Some(size) if !target.disk.exists() => return Ok(show(&prepare(target, facts(target, *size))?)?),
        _ => Disk::look_at(&target.disk, sector)?,
    };
    let facts = DiskFacts { content: content::look(&disk), ..facts(target, disk.size()) };
    Ok(show(&prepare(target, facts)?)?)
}

fn show(plan: &Plan) -> io::Result<()> {
    writeln!(io::stdout(), "{plan}")
}

fn facts(target: &Target, size: u64) -> DiskFacts {
    let path = target.disk.display().to_string();
    DiskFacts { path, size, sector_size: target.sector_size, ..DiskFacts::default() }
}

fn prepare(target: &Target, facts: DiskFacts) -> Result<Plan, Failure> {
    selector::check(&facts, target.wipe)?;
    let root = slot::uuid(&target.root_hash).ok_or("a root hash has 64 hexadecimal digits")?;
    Ok(Plan::new(&facts, &Identities::Random { root })?)
}

/// An error that says which file.
fn named<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, Failure> {
    open(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn run(install: &Install) -> Result<(), Failure> {
    let target = &install.target;
    if let Some(size) = target.size.filter(|_| !target.disk.exists()) {
        File::create_new(&target.disk)?.set_len(size)?;
    }
    let disk = Disk::open(&target.disk, target.sector_size.try_into()?)?;
    let facts = DiskFacts { content: content::look(&disk), ..facts(target, disk.size()) };
    let plan = prepare(target, facts)?;
    show(&plan)?;

    let (uki, loader) =
        (named(&install.uki, |path| fs::read(path))?, named(&install.loader, |path| fs::read(path))?);
    let entry = format!("{}/{}", esp::ENTRIES, EntryName::first(install.version.clone()));
    let files: &[(&str, &[u8])] =
        &[(esp::LOADER, &loader), (&entry, &uki), (esp::LOADER_CONF, esp::LOADER_SETTINGS)];
    let mut root = named(&install.root, |path| File::open(path))?;
    let root_size = root.metadata()?.len();
    let start = Instant::now();
    let mut meter = Meter::default();
    let source = Source { root: &mut root, root_size, esp: files };
    install::run(&disk, &plan, source, &mut |progress| meter.tell(progress))?;
    let _ = writeln!(io::stderr(), "installed in {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// A line for every step, and for every second of one.
#[derive(Debug, Default)]
struct Meter {
    since: Option<(install::Step, Instant, Instant)>,
}

impl Meter {
    fn tell(&mut self, progress: Progress) -> ControlFlow<()> {
        let Progress { step, done, total } = progress;
        let now = Instant::now();
        let (begun, told) = match self.since {
            Some((before, begun, told)) if before == step => (begun, told),
            _ => (now, now),
        };
        let first = self.since.is_none_or(|(before, ..)| before != step);
        let last = done == total && total > 0;
        let due = first || last || now - told >= Duration::from_secs(1);
        self.since = Some((step, begun, if due { now } else { told }));
        if due {
            let mib = |bytes: u64| bytes >> 20;
            let rate = u128::from(mib(done)) * 1000 / (now - begun).as_millis().max(1);
            let counted = format!(": {} of {} MiB, {rate} MiB/s", mib(done), mib(total));
            let counted = if total > 0 && !first { counted } else { String::new() };
            let _ = writeln!(io::stderr(), "{step}{counted}");
        }
        ControlFlow::Continue(())
    }
}
