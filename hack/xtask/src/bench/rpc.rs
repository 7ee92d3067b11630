//! Calls to the API of a machined and an apid that run on this machine: how fast, how many, and at what cost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::example;
use super::host::{self, Watch};
use super::native::Native;
use super::report::{Figure, Section, Target, Unit};
use crate::progress::{self, Step};

/// Calls that wait for an answer at the same time.
const IN_FLIGHT: usize = 64;
/// How long each rate is taken.
const SECONDS: &str = "4";
/// Each rate is taken that often; the machine is shared.
const ROUNDS: usize = 3;
const OSCTL_RUNS: usize = 40;

/// What calls in one way.
#[derive(Debug, Clone, Copy)]
struct Shape {
    connections: usize,
    in_flight: usize,
}

/// What the program of the load says.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
struct Said {
    calls: f64,
    warm_up_calls: f64,
    seconds: f64,
    median_us: f64,
    p99_us: f64,
    client_cpu_us: f64,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
struct Outcome {
    per_second: f64,
    median_us: f64,
    p99_us: f64,
    /// Processor time a call, by process.
    cost_us: Vec<(&'static str, f64)>,
}

/// Everything about calls, natively.
pub(super) fn measure(machined: &Path, osctl: &Path) -> Result<Section> {
    let step = Step::start("bench/rpc", "measuring calls to apid and machined on this machine");
    // The calling program is an example of the client, because it must be a release build.
    let load = example::build("corten-client", "load")?;
    let watch = Watch::start()?;
    let native = Native::start(machined)?;
    let mut figures = Vec::new();
    figures.extend(osctl_version(osctl, &native.contexts_file(), "against machined and apid", 15.0)?);

    let one = rounds(&load, &native, Shape { connections: 1, in_flight: 1 })?;
    let shared = rounds(&load, &native, Shape { connections: 1, in_flight: IN_FLIGHT })?;
    let spread = rounds(&load, &native, Shape { connections: 8, in_flight: IN_FLIGHT })?;
    let clients: Duration = [&one, &shared, &spread].iter().map(|rounds| rounds.clients).sum();
    let median = |name: &str, rounds: &Rounds, value: fn(&Outcome) -> f64, unit| {
        Figure::median(name, rounds.outcomes.iter().map(value).collect(), unit)
    };
    let rate = |name, rounds| median(name, rounds, |outcome| outcome.per_second, Unit::PerSecond);
    figures.extend(rate("calls a second, one at a time", &one));
    figures.extend(median(
        "a call, one at a time: median",
        &one,
        |outcome| outcome.median_us,
        Unit::Microseconds,
    ));
    figures.extend(median(
        "a call, one at a time: 99th percentile",
        &one,
        |outcome| outcome.p99_us,
        Unit::Microseconds,
    ));
    figures.extend(rate("calls a second, 64 in flight on one connection", &shared).map(aim));
    figures.extend(rate("calls a second, 64 in flight on eight connections", &spread).map(aim));
    figures.extend(median(
        "a call, 64 in flight on eight connections: 99th percentile",
        &spread,
        |outcome| outcome.p99_us,
        Unit::Microseconds,
    ));
    figures.extend(costs(&spread.outcomes));
    for (name, pid) in native.processes() {
        figures.push(mebibytes(&format!("PSS of {name} after the load"), host::pss(pid)?));
    }
    let servers = native.processes().iter().map(|(_, pid)| host::cpu_time(*pid)).sum::<Result<Duration>>()?;
    let load = watch.stop(servers + clients)?;
    drop(native);
    step.done("measured");
    let method = "`machined native` and apid, release builds, TLS 1.3 over loopback; the program that calls has two \
                  threads and shares the cores with them. The call is MachineService.Version. Talos' apid answers \
                  8,900 calls a second with 64 in flight, 2,800 one at a time.";
    super::section("rpc", "API calls, natively", method, Some(load), figures)
}

fn aim(figure: Figure) -> Figure {
    figure.aim(Target::AtLeast(15_000.0))
}

/// Several runs of one shape, and the processor time of the calling program in all of them.
#[derive(Debug)]
struct Rounds {
    outcomes: Vec<Outcome>,
    clients: Duration,
}

fn rounds(load: &Path, native: &Native, shape: Shape) -> Result<Rounds> {
    let (mut outcomes, mut clients) = (Vec::new(), Duration::ZERO);
    for _ in 0..ROUNDS {
        let before = costs_so_far(native)?;
        let mut command = Command::new(load);
        command.arg(native.contexts_file()).arg(SECONDS);
        command.args([shape.connections, shape.in_flight].map(|number| number.to_string()));
        let said: Said =
            serde_json::from_str(progress::output(&mut command)?.trim()).context("read the load's words")?;
        outcomes.push(outcome(said, &before, &costs_so_far(native)?));
        clients += Duration::from_secs_f64(said.client_cpu_us / 1e6);
    }
    Ok(Rounds { outcomes, clients })
}

fn costs_so_far(native: &Native) -> Result<Vec<(&'static str, Duration)>> {
    native.processes().into_iter().map(|(name, pid)| Ok((name, host::cpu_time(pid)?))).collect()
}

fn outcome(said: Said, before: &[(&'static str, Duration)], after: &[(&'static str, Duration)]) -> Outcome {
    let all_calls = (said.calls + said.warm_up_calls).max(1.0);
    let servers = before.iter().zip(after).map(|((name, before), (_, after))| {
        (*name, after.saturating_sub(*before).as_secs_f64() * 1e6 / all_calls)
    });
    let client = ("the calling program", said.client_cpu_us / said.calls.max(1.0));
    Outcome {
        per_second: said.calls / said.seconds,
        median_us: said.median_us,
        p99_us: said.p99_us,
        cost_us: servers.chain([client]).collect(),
    }
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
    fn what_a_call_costs_counts_the_calls_before_the_measurement_too() {
        let said = Said {
            calls: 900.0,
            warm_up_calls: 100.0,
            seconds: 3.0,
            client_cpu_us: 1800.0,
            ..Said::default()
        };
        let at = |milliseconds| [("apid", Duration::from_millis(milliseconds))];
        let outcome = outcome(said, &at(10), &at(30));
        assert_eq!(outcome.per_second.round(), 300.0);
        assert_eq!(outcome.cost_us, [("apid", 20.0), ("the calling program", 2.0)]);
        let figures = costs(&[outcome]);
        assert_eq!(figures[0].shown(), "20 µs");
        assert!(figures[1].name.contains("calling"));
    }
}
