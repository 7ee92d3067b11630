//! Installations with an engine that is told what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use corten_config::Install;
use corten_store::Store;
use corten_sys::block::Disk;

use super::super::Running;
use super::super::engine::{Chosen, Finish, NotChosen, Report};
use super::*;

/// Writes a few bytes, and fails.
#[derive(Debug, Default)]
struct Broken {
    silent: bool,
    /// The disk is written, but cannot have a STATE.
    without_state: bool,
    made_bootable: Arc<AtomicBool>,
    gave_up: Arc<AtomicBool>,
}

impl Engine for Broken {
    fn choose(&self, _: &Install, _: &str) -> Result<Chosen, NotChosen> {
        Ok(chosen())
    }

    fn write(&self, _: &Chosen, report: Report<'_>) -> Result<Finish, BoxError> {
        report(Moment { step: "write-root", done: 5, total: 10 })?;
        if self.without_state {
            let made_bootable = Arc::clone(&self.made_bootable);
            return Ok(Box::new(move || {
                made_bootable.store(true, Ordering::Release);
                Ok(())
            }));
        }
        if !self.silent {
            return Err("no such device".into());
        }
        loop {
            std::thread::sleep(Duration::from_millis(5));
            if let Err(given_up) = report(Moment { step: "write-root", done: 5, total: 10 }) {
                self.gave_up.store(true, Ordering::Release);
                return Err(given_up.into());
            }
        }
    }
}

fn chosen() -> Chosen {
    let disk = Disk { name: "vdx".into(), path: "/dev/vdx".into(), ..Disk::default() };
    Chosen { disk, plan: vec!["one".into()], installed: false }
}

fn job() -> Job {
    Job { text: "kind: Machine".into(), chosen: chosen() }
}

struct Bench {
    controller: Installation,
    installs: Installs,
    context: Context,
    power: Power,
}

fn bench(engine: Broken) -> Bench {
    let store = Store::new();
    corten_resources::register_all(&store);
    let (installs, power) = (Installs::new(Arc::new(engine), store.clone()), Power::default());
    let reaper = Reaper::start().unwrap();
    let controller = Installation::new(installs.clone(), reaper, power.clone(), Some("sr0".into()));
    let context = Context::new(store, "install/install", &[], controller.outputs());
    Bench { controller, installs, context, power }
}

fn status(bench: &Bench) -> InstallStatus {
    bench.context.get::<InstallStatus>(MACHINE).unwrap().spec.clone()
}

#[tokio::test]
async fn on_a_medium_it_waits_and_says_so_and_on_a_disk_there_is_no_status() {
    let mut bench = bench(Broken::default());
    bench.controller.reconcile(&bench.context).await.unwrap();
    assert_eq!(status(&bench).phase, InstallPhase::Waiting);
    bench.context.destroy::<InstallStatus>(MACHINE).unwrap();
    bench.controller.medium = None;
    bench.controller.reconcile(&bench.context).await.unwrap();
    assert!(bench.context.get::<InstallStatus>(MACHINE).is_none());
}

#[tokio::test]
async fn a_failure_is_told_with_its_cause_and_it_can_be_started_again() {
    let mut bench = bench(Broken::default());
    for _ in 0..2 {
        bench.installs.start(job()).unwrap();
        assert_eq!(bench.installs.start(job()), Err(Running));
        // Whoever watches now does not see how the one before ended.
        assert_eq!(status(&bench).phase, InstallPhase::Running);
        bench.controller.reconcile(&bench.context).await.unwrap();
        let status = status(&bench);
        assert_eq!((status.phase, status.disk.as_str()), (InstallPhase::Failed, "/dev/vdx"));
        assert_eq!((status.error.as_str(), status.hint.is_empty()), ("no such device", false));
    }
    assert_eq!(bench.power.current(), None, "a failed installation does not reboot");
}

#[tokio::test]
async fn a_disk_without_its_config_is_not_made_bootable() {
    let made_bootable = Arc::new(AtomicBool::new(false));
    let engine =
        Broken { without_state: true, made_bootable: Arc::clone(&made_bootable), ..Broken::default() };
    let mut bench = bench(engine);
    bench.installs.start(job()).unwrap();
    bench.controller.reconcile(&bench.context).await.unwrap();
    let status = status(&bench);
    assert_eq!((status.phase, status.step.as_str()), (InstallPhase::Failed, "state"));
    assert!(!made_bootable.load(Ordering::Acquire));
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_given_up_and_its_thread_is_told() {
    let gave_up = Arc::new(AtomicBool::new(false));
    let mut bench = bench(Broken { silent: true, gave_up: Arc::clone(&gave_up), ..Broken::default() });
    bench.controller.stalled = Duration::from_millis(100);
    bench.installs.start(job()).unwrap();
    bench.controller.reconcile(&bench.context).await.unwrap();
    let status = status(&bench);
    assert_eq!(status.phase, InstallPhase::Failed);
    assert!(status.error.contains("took nothing"), "{}", status.error);
    for _ in 0..1000 {
        if gave_up.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the thread was not told");
}

#[test]
fn what_is_finished_has_no_error_and_no_rest() {
    let running = InstallStatus { rate: 7, remaining_ms: 7, ..begun("sr0", &job()) };
    let status = ended(running, Ok(()));
    assert_eq!((status.phase, status.rate, status.remaining_ms), (InstallPhase::Finished, 0, 0));
    assert!(status.error.is_empty() && status.message.contains("restarts"));
}
