//! The boot sequence of the real root, before the runtime starts: a table of phases, and what runs them.
//!
//! Each phase is short and local. Loading modules is slow and goes on in the background; nothing here waits for a disk
//! or the network.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use corten_sys::cgroup::{Cgroup, CgroupError};
use corten_sys::mount::{self, MountError};
use corten_sys::process::Resource;
use corten_sys::{kmsg, reboot, system};
use procfs::Current as _;

use super::cmdline::Cmdline;
use super::fatal::note;
use super::handover::Handover;
use super::heartbeat::Heartbeat;
use super::modules::Loader;
use super::mounts::{self, Need};
use super::timeline::Timeline;
use super::watchdog::{self, WatchdogHandle};
use super::{etc, fatal, pstore, sysctls};
use crate::errors::chain;

type BoxError = Box<dyn Error + Send + Sync>;

/// Group of all services.
const SYSTEM_CGROUP: &str = "system";
/// Program that answers when the kernel asks for a module.
const MODULE_HELPER: &str = "/usr/bin/modprobe";
/// Open files of PID 1 and, unless they say otherwise, its services. Go programs use all that they get.
const OPEN_FILES: (u64, u64) = (65_536, 1_048_576);
/// When the image was built, in seconds since 1970. The clock is never before.
const CLOCK_EPOCH: &str = "/usr/lib/clock-epoch";
/// The clock is never before this either: January 2026.
const OLDEST_BUILD: u64 = 1_767_225_600;

/// What the rest of machined gets from the boot sequence.
#[derive(Debug)]
pub struct Early {
    /// Marks so far; the controllers go on with it.
    pub timeline: Timeline,
    /// The kernel's command line.
    pub cmdline: Cmdline,
    /// The watchdog, if the machine has one.
    pub watchdog: Option<WatchdogHandle>,
    /// Its proof that machined makes progress.
    pub heartbeat: Heartbeat,
    /// Kernel name of the disk that holds the root.
    pub root_disk: Option<String>,
    /// Kernel name of the partition that the root is on.
    pub root_partition: Option<String>,
    /// Kernel name of the install medium's device, when the root is on one.
    pub medium: Option<String>,
    /// Loads kernel modules; `None` when there is no description of any.
    pub modules: Option<Loader>,
}

/// Whether the boot ends when a phase fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Without it nothing works.
    Stop,
    /// Worth a warning.
    GoOn,
}

/// A step of the boot.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    /// Its name, in messages.
    pub name: &'static str,
    /// What its failure means.
    pub on_failure: OnFailure,
    run: fn(&mut Early) -> Result<(), BoxError>,
}

/// Why the machine cannot start.
#[derive(Debug, thiserror::Error)]
#[error("boot phase {phase} failed")]
pub struct PhaseError {
    phase: &'static str,
    source: BoxError,
}

/// Runs all phases. A failure of one that the machine cannot do without ends in a reboot.
pub fn early() -> Early {
    let handover = Handover::from_environment();
    handover.timeline.mark("machined");
    let heartbeat = Heartbeat::default();
    let mut early = Early {
        timeline: handover.timeline,
        cmdline: Cmdline::default(),
        watchdog: watchdog::start(handover.watchdog, heartbeat.clone()),
        heartbeat,
        root_disk: handover.root_disk,
        root_partition: handover.root_partition,
        medium: handover.medium,
        modules: None,
    };
    if let Err(error) = run(&phases(), &mut early) {
        fatal::fatal(&error);
    }
    early.timeline.mark("system prepared");
    early
}

/// The boot sequence.
pub fn phases() -> Vec<Phase> {
    use OnFailure::{GoOn, Stop};
    let phase = |name, on_failure, run| Phase { name, on_failure, run };
    vec![
        phase("mounts", Stop, mount_all),
        phase("command line", Stop, read_cmdline),
        phase("kernel log", GoOn, |_| Ok(kmsg::unlimited()?)),
        phase("module helper", GoOn, |_| Ok(system::set_sysctl("kernel.modprobe", MODULE_HELPER)?)),
        phase("modules", GoOn, start_modules),
        phase("cgroups", Stop, |_| Ok(make_cgroups()?)),
        phase("files in /etc", Stop, |_| Ok(etc::write("/etc".into())?)),
        phase("clock", GoOn, |_| Ok(set_clock()?)),
        phase("resource limits", GoOn, |_| Ok(raise_limits()?)),
        phase("sysctls", GoOn, set_early_sysctls),
        phase("memory reserve", GoOn, |_| limit_reserve()),
        phase("Ctrl-Alt-Del", GoOn, |_| Ok(reboot::ctrl_alt_del_to_init()?)),
    ]
}

fn run(phases: &[Phase], early: &mut Early) -> Result<(), PhaseError> {
    for phase in phases {
        let Err(source) = (phase.run)(early) else {
            continue;
        };
        match phase.on_failure {
            OnFailure::Stop => {
                return Err(PhaseError { phase: phase.name, source });
            }
            OnFailure::GoOn => note(&format!("boot phase {} failed: {}", phase.name, chain(source.as_ref()))),
        }
    }
    Ok(())
}

fn mount_all(_: &mut Early) -> Result<(), BoxError> {
    // The initramfs did these; a machine that starts without one has none.
    for mounted in mounts::base() {
        if !mount::is_mounted(&mounted.target).unwrap_or(false) {
            mounted.mount()?;
        }
    }
    for (mounted, need) in mounts::rest() {
        match (mounted.mount(), need) {
            (Err(error), Need::Required) => return Err(error.into()),
            (Err(error), Need::Optional) => note(&chain(&error)),
            (Ok(()), _) => {}
        }
    }
    Ok(share_mounts()?)
}

/// What the kubelet mounts for one container must be seen by others, so propagation is on everywhere.
fn share_mounts() -> Result<(), MountError> {
    mount::make_shared("/".into())
}

fn read_cmdline(early: &mut Early) -> Result<(), BoxError> {
    early.cmdline = Cmdline::read()?;
    Ok(())
}

/// In the background: drivers of the devices first, since controllers wait for links and disks.
fn start_modules(early: &mut Early) -> Result<(), BoxError> {
    let loader = Loader::open()?;
    let (background, timeline) = (loader.clone(), early.timeline.clone());
    std::thread::Builder::new().name("modules".into()).spawn(move || {
        background.load_paravirtual();
        // Firmware without variables has no use for it.
        let _ = background.load(pstore::EFI.0, pstore::EFI.1);
        timeline.mark("paravirtual drivers loaded");
        // From here on nobody waits, there is much to do, and it would keep the processors from what is waited for.
        let _ = system::be_nice(10);
        background.load_present();
        background.load_list();
        apply_sysctls(sysctls::AFTER_MODULES);
        timeline.mark("modules loaded");
    })?;
    early.modules = Some(loader);
    Ok(())
}

fn make_cgroups() -> Result<(), CgroupError> {
    let root = Cgroup::at("");
    if let Err(error) = root.delegate_all() {
        note(&chain(&error));
    }
    let system = Cgroup::at(SYSTEM_CGROUP);
    system.create()?;
    system.delegate_all()
}

fn set_clock() -> std::io::Result<()> {
    if system::clock_not_before(build_time())? {
        note("the clock was before this image was built, and is set to that time");
    }
    Ok(())
}

/// Seconds since 1970 that the image build wrote into the root, or the oldest that can be.
fn build_time() -> SystemTime {
    let built = std::fs::read_to_string(CLOCK_EPOCH).ok().and_then(|seconds| seconds.trim().parse().ok());
    UNIX_EPOCH + Duration::from_secs(built.unwrap_or(OLDEST_BUILD).max(OLDEST_BUILD))
}

fn raise_limits() -> std::io::Result<()> {
    system::set_rlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.0, OPEN_FILES.1)?;
    // BPF maps of CNIs count as locked memory on older kernels.
    system::set_rlimit(Resource::RLIMIT_MEMLOCK, u64::MAX, u64::MAX)?;
    system::set_rlimit(Resource::RLIMIT_CORE, 0, 0)
}

fn set_early_sysctls(_: &mut Early) -> Result<(), BoxError> {
    apply_sysctls(sysctls::EARLY);
    Ok(())
}

fn limit_reserve() -> Result<(), BoxError> {
    let total = procfs::Meminfo::current()?.mem_total >> 10;
    let reserve = sysctls::smaller_reserve(total, system::sysctl(sysctls::RESERVE)?.parse()?);
    reserve.map_or(Ok(()), |reserve| Ok(system::set_sysctl(sysctls::RESERVE, &reserve.to_string())?))
}

fn apply_sysctls(table: &[(&'static str, &str, &str)]) {
    for (name, error) in sysctls::apply(table) {
        note(&format!("sysctl {name} cannot be set: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(name: &str) -> usize {
        phases().iter().position(|phase| phase.name == name).unwrap()
    }

    fn nothing() -> Early {
        let (timeline, cmdline) = (Timeline::default(), Cmdline::default());
        Early {
            timeline,
            cmdline,
            watchdog: None,
            heartbeat: Heartbeat::default(),
            root_disk: None,
            root_partition: None,
            medium: None,
            modules: None,
        }
    }

    #[test]
    fn the_order_holds_what_each_phase_needs() {
        assert_eq!(position("mounts"), 0, "everything else reads /proc or writes /sys");
        assert!(position("module helper") < position("modules"), "the kernel may ask while we load");
        assert!(position("modules") < position("sysctls"), "the slowest starts first");
    }

    #[test]
    fn a_failure_stops_the_boot_only_where_it_says_so() {
        let mut early = nothing();
        let failing = |on_failure| Phase { name: "test", on_failure, run: |_| Err("broken".into()) };
        let marking = |early: &mut Early| {
            early.timeline.mark("later");
            Ok(())
        };
        let later = Phase { name: "later", on_failure: OnFailure::Stop, run: marking };
        run(&[failing(OnFailure::GoOn), later], &mut early).unwrap();
        assert_eq!(early.timeline.snapshot().marks.len(), 1);
        let error = run(&[failing(OnFailure::Stop), later], &mut early).unwrap_err();
        assert_eq!(chain(&error), "boot phase test failed: broken");
        assert_eq!(early.timeline.snapshot().marks.len(), 1, "nothing ran after it");
    }

    #[test]
    fn the_build_time_is_not_before_the_project() {
        assert!(build_time() >= UNIX_EPOCH + Duration::from_secs(OLDEST_BUILD));
    }
}
