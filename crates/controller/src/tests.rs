//! The loop, with paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corten_resources::runtime::ControllerStatus;
use corten_store::{Kind, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::{BoxError, Context, ContextError, Controller, Next, Runtime};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Input(u64);
impl Kind for Input {
    const NAME: &'static str = "Input";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &[];
    type Spec = Self;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Output(u64);
impl Kind for Output {
    const NAME: &'static str = "Output";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &[];
    type Spec = Self;
}

/// Doubles each input; fails or panics on some of them.
struct Doubler {
    runs: Arc<AtomicU64>,
    wake: Arc<Notify>,
    next: Next,
}

const FAIL: u64 = 13;
const PANIC: u64 = 14;

impl Controller for Doubler {
    fn name(&self) -> &'static str {
        "test/doubler"
    }
    fn inputs(&self) -> &'static [&'static str] {
        &[Input::NAME]
    }
    fn outputs(&self) -> &'static [&'static str] {
        &[Output::NAME]
    }
    fn wake(&self) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.wake))
    }
    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let mut want = std::collections::BTreeMap::new();
        for input in ctx.list::<Input>() {
            match input.spec.0 {
                FAIL => return Err("thirteen".into()),
                PANIC => panic!("fourteen"),
                number => want.insert(input.id().to_owned(), Output(number * 2)),
            };
        }
        ctx.sync_owned::<Output>(want)?;
        Ok(self.next)
    }
}

struct Bench {
    store: Store,
    runs: Arc<AtomicU64>,
    wake: Arc<Notify>,
    _shutdown: watch::Sender<bool>,
}

impl Bench {
    fn start(next: Next) -> Self {
        let (shutdown, stopped) = watch::channel(false);
        let bench =
            Self { store: Store::new(), runs: Arc::default(), wake: Arc::default(), _shutdown: shutdown };
        let mut runtime = Runtime::new(bench.store.clone());
        runtime.add(Doubler { runs: Arc::clone(&bench.runs), wake: Arc::clone(&bench.wake), next });
        runtime.start(stopped);
        bench
    }

    fn input(&self, number: u64) {
        self.store.put::<Input>("test", "a", Input(number)).unwrap();
    }

    async fn status(&self, pred: impl Fn(&ControllerStatus) -> bool) -> ControllerStatus {
        let wait =
            self.store.wait_for::<ControllerStatus>("test/doubler", |status| status.is_some_and(&pred));
        timeout(Duration::from_secs(3600), wait).await.expect("the status never came");
        self.store.get::<ControllerStatus>("test/doubler").unwrap().spec.clone()
    }

    fn output(&self) -> Option<u64> {
        self.store.get::<Output>("a").map(|output| output.spec.0)
    }
}

#[tokio::test(start_paused = true)]
async fn it_reconciles_at_the_start_and_when_an_input_changes() {
    let bench = Bench::start(Next::Wait);
    assert_eq!(bench.status(|status| status.runs == 1).await.woken_by, "start");
    bench.input(4);
    assert_eq!(bench.status(|status| status.runs == 2).await.woken_by, "Input");
    assert_eq!(bench.output(), Some(8));
    bench.store.destroy::<Input>("test", "a").unwrap();
    bench.status(|status| status.runs == 3).await;
    assert_eq!(bench.output(), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_when_nothing_changes() {
    let bench = Bench::start(Next::Wait);
    bench.status(|status| status.runs == 1).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_requeue_and_an_outside_wake_up_run_it() {
    let bench = Bench::start(Next::After(Duration::from_secs(60)));
    bench.status(|status| status.runs == 1).await;
    let before = Instant::now();
    assert_eq!(bench.status(|status| status.runs == 2).await.woken_by, "requeue");
    assert_eq!(before.elapsed().as_secs(), 60);
    bench.wake.notify_one();
    assert_eq!(bench.status(|status| status.runs == 3).await.woken_by, "wake");
    assert!(before.elapsed().as_secs() < 61);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_with_growing_pauses_and_told() {
    let bench = Bench::start(Next::Wait);
    bench.status(|status| status.runs == 1).await;
    bench.input(FAIL);
    let status = bench.status(|status| status.failures == 8).await;
    assert_eq!(status.last_error, "thirteen");
    assert_eq!(status.panics, 0);
    // 100 ms doubled seven times, give or take the jitter.
    assert!((9_600..=16_000).contains(&status.backoff_ms), "{}", status.backoff_ms);
    let before = Instant::now();
    bench.input(5);
    let status = bench.status(|status| status.last_error.is_empty()).await;
    assert!(before.elapsed() < Duration::from_secs(1), "a changed input ends the backoff");
    assert_eq!(status.backoff_ms, 0);
    assert_eq!(bench.output(), Some(10));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_that_is_retried() {
    let bench = Bench::start(Next::Wait);
    bench.input(PANIC);
    let status = bench.status(|status| status.panics >= 2).await;
    assert_eq!(status.last_error, "panic: fourteen");
    bench.input(1);
    bench.status(|status| status.last_error.is_empty()).await;
    assert_eq!(bench.output(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn shutdown_stops_all_controllers() {
    let (shutdown, stopped) = watch::channel(false);
    let mut runtime = Runtime::new(Store::new());
    runtime.add(Doubler {
        runs: Arc::default(),
        wake: Arc::default(),
        next: Next::After(Duration::from_millis(1)),
    });
    let handle = runtime.start(stopped);
    tokio::time::sleep(Duration::from_secs(1)).await;
    shutdown.send_replace(true);
    timeout(Duration::from_secs(1), handle).await.expect("still running").unwrap();
}

#[test]
fn a_write_to_an_undeclared_kind_is_refused_and_changes_nothing() {
    let store = Store::new();
    let ctx = Context::new(store.clone(), "test/reader", &[Input::NAME], &[]);
    let refused = ContextError::NotAnOutput { controller: "test/reader", kind: "Output" };
    assert_eq!(ctx.put::<Output>("a", Output(1)), Err(refused.clone()));
    assert_eq!(ctx.sync_owned::<Output>(Default::default()), Err(refused.clone()));
    assert_eq!(ctx.destroy::<Output>("a"), Err(refused));
    assert!(store.list::<Output>().is_empty());
}

#[test]
fn an_undeclared_kind_cannot_be_read() {
    let store = Store::new();
    store.put::<Output>("somebody", "a", Output(1)).unwrap();
    let ctx = Context::new(store.clone(), "test/reader", &[Input::NAME], &[]);
    assert!(ctx.get::<Output>("a").is_none() && ctx.list::<Output>().is_empty());
    assert!(ctx.store().get::<Output>("a").is_some());
}
