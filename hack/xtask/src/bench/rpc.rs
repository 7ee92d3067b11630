//! Calls to the API of a machined and an apid that run on this machine: how fast, how many, and at what cost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use corten_api::v1::VersionRequest;
use corten_client::{Client, Options};

use super::host::{self, Watch};
use super::native::Native;
use super::report::{Figure, Section, Target, Unit, percentile};
use crate::progress::Step;

/// Calls that wait for an answer at the same time.
const IN_FLIGHT: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURE: Duration = Duration::from_secs(4);
/// Each rate is taken that often; the machine is shared.
const ROUNDS: usize = 3;
const OSCTL_RUNS: usize = 40;

/// What calls in one way.
#[derive(Debug, Clone, Copy)]
struct Shape {
    connections: usize,
    in_flight: usize,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    per_second: f64,
    latencies_us: Vec<f64>,
    /// Processor time a call, by process.
    cost_us: Vec<(&'static str, f64)>,
}

/// Everything about calls, natively.
pub(super) fn measure(machined: &Path, osctl: &Path) -> Result<Section> {
    let step = Step::start("bench/rpc", "measuring calls to apid and machined on this machine");
    let watch = Watch::start()?;
    let native = Native::start(machined)?;
    // Two threads, as many as apid and machined have each.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let one = runtime.block_on(rounds(&native, Shape { connections: 1, in_flight: 1 }))?;
    let shared = runtime.block_on(rounds(&native, Shape { connections: 1, in_flight: IN_FLIGHT }))?;
    let spread = runtime.block_on(rounds(&native, Shape { connections: 8, in_flight: IN_FLIGHT }))?;

    let mut figures = Vec::new();
    figures.extend(osctl_version(osctl, &native.contexts_file(), "against machined and apid", 15.0)?);
    figures.extend(rate("calls a second, one at a time", &one));
    figures.extend(latency(&one));
    figures.extend(rate("calls a second, 64 in flight on one connection", &shared));
    let best = rate("calls a second, 64 in flight on eight connections", &spread);
    figures.extend(best.map(|figure| figure.aim(Target::AtLeast(15_000.0))));
    figures.extend(costs(&spread));
    for (name, pid) in native.processes() {
        figures.push(mebibytes(&format!("PSS of {name} after the load"), host::pss(pid)?));
    }
    let ours = native.processes().iter().map(|(_, pid)| host::cpu_time(*pid)).sum::<Result<Duration>>()?;
    let load = watch.stop(ours + host::cpu_time(std::process::id())?)?;
    drop(native);
    step.done("measured");
    let method = "`machined native` and apid, release builds, TLS 1.3 over loopback, the client in the process of the \
                  benchmark: all three share the cores. The call is MachineService.Version. Talos' apid answers 8,900 \
                  calls a second with 64 in flight, 2,800 one at a time.";
    super::section("rpc", "API calls, natively", method, Some(load), figures)
}

async fn rounds(native: &Native, shape: Shape) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for _ in 0..ROUNDS {
        outcomes.push(round(native, shape).await?);
    }
    Ok(outcomes)
}

async fn round(native: &Native, shape: Shape) -> Result<Outcome> {
    let mut clients = Vec::new();
    for _ in 0..shape.connections {
        clients.push(Client::connect(native.context(), native.address(), Options::default()).await?);
    }
    run(&clients, shape, WARM_UP).await?;
    let processes = || -> Result<Vec<(&'static str, Duration)>> {
        let others = native.processes().into_iter().chain([("the client", std::process::id())]);
        others.map(|(name, pid)| Ok((name, host::cpu_time(pid)?))).collect()
    };
    let before = processes()?;
    let (calls, took, latencies_us) = run(&clients, shape, MEASURE).await?;
    let after = processes()?;
    let cost = |(before, after): (&(&'static str, Duration), &(&'static str, Duration))| {
        (before.0, (after.1 - before.1).as_secs_f64() * 1e6 / calls)
    };
    let cost_us = before.iter().zip(&after).map(cost).collect();
    Ok(Outcome { per_second: calls / took.as_secs_f64(), latencies_us, cost_us })
}

/// Calls for a while; how many, in what time, and how long each took.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
async fn run(clients: &[Client], shape: Shape, time: Duration) -> Result<(f64, Duration, Vec<f64>)> {
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for client in clients.iter().cycle().take(shape.in_flight) {
        let (mut machine, done) = (client.machine(), done.clone());
        callers.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < time {
                let called = Instant::now();
                machine.version(VersionRequest {}).await?;
                latencies.push(called.elapsed().as_secs_f64() * 1e6);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, tonic::Status>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = callers.join_next().await {
        latencies.extend(ended.context("a caller")?.context("call the API")?);
    }
    Ok((done.load(Ordering::Relaxed) as f64, start.elapsed(), latencies))
}

fn rate(name: &str, outcomes: &[Outcome]) -> Option<Figure> {
    Figure::median(name, outcomes.iter().map(|outcome| outcome.per_second).collect(), Unit::PerSecond)
}

fn latency(outcomes: &[Outcome]) -> Vec<Figure> {
    let all: Vec<f64> = outcomes.iter().flat_map(|outcome| outcome.latencies_us.iter().copied()).collect();
    let at = |name: &str, percent| {
        percentile(&all, percent).map(|value| Figure::new(name, value, Unit::Microseconds))
    };
    let figures =
        [at("latency of a call, one at a time: median", 50), at("latency of a call, one at a time: p99", 99)];
    figures.into_iter().flatten().collect()
}

fn costs(outcomes: &[Outcome]) -> Vec<Figure> {
    let names =
        outcomes.first().into_iter().flat_map(|outcome| outcome.cost_us.iter().map(|(name, _)| *name));
    let figures = names.enumerate().filter_map(|(index, name)| {
        let samples = outcomes.iter().filter_map(|outcome| outcome.cost_us.get(index).map(|(_, cost)| *cost));
        Figure::median(format!("processor time a call: {name}"), samples.collect(), Unit::Microseconds)
    });
    figures.collect()
}

/// Wall time of `osctl version`, from start to exit.
pub(super) fn osctl_version(
    osctl: &Path,
    contexts: &Path,
    against: &str,
    target_ms: f64,
) -> Result<Vec<Figure>> {
    let mut samples = Vec::new();
    for _ in 0..OSCTL_RUNS {
        let mut command = Command::new(osctl);
        command.arg("version").env("CORTEN_CONFIG", contexts).stdin(Stdio::null());
        let start = Instant::now();
        let output = command.output().context("start osctl")?;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(output.status.success(), "osctl version: {}", String::from_utf8_lossy(&output.stderr));
    }
    let median = Figure::median(format!("osctl version {against}"), samples, Unit::Milliseconds);
    Ok(median.map(|figure| figure.aim(Target::AtMost(target_ms))).into_iter().collect())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
pub(super) fn mebibytes(name: &str, bytes: u64) -> Figure {
    Figure::new(name, bytes as f64 / f64::from(1 << 20), Unit::Mebibytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_over_the_rounds() {
        let outcome = |per_second, cost| Outcome {
            per_second,
            latencies_us: vec![per_second, 2.0 * per_second],
            cost_us: vec![("apid", cost)],
        };
        let outcomes = [outcome(10.0, 3.0), outcome(30.0, 1.0), outcome(20.0, 2.0)];
        assert_eq!(rate("x", &outcomes).unwrap().shown(), "20/s");
        assert_eq!(costs(&outcomes)[0].shown(), "2 µs");
        assert_eq!(latency(&outcomes)[1].shown(), "60 µs");
        assert_eq!(rate("x", &[]), None);
    }
}
