//! The machine that measures: what it is, and how much of it others had meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// What else the machine did during a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Load average of the last minute, before and after.
    pub(crate) before: f64,
    pub(crate) after: f64,
    /// Share of all processor time that went to neither idleness nor to what was measured, in percent.
    pub(crate) others_percent: f64,
}

/// A measurement that goes on.
#[derive(Debug)]
pub(crate) struct Watch {
    before: f64,
    busy: Duration,
    start: Instant,
}

impl Watch {
    /// Begins.
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { before: load_average()?, busy: busy()?, start: Instant::now() })
    }

    /// Ends; `ours` is the processor time of what was measured.
    pub(crate) fn stop(&self, ours: Duration) -> Result<Load> {
        let others = busy()?.saturating_sub(self.busy).saturating_sub(ours);
        let all = self.start.elapsed().as_secs_f64() * f64::from(cores());
        let others_percent = 100.0 * others.as_secs_f64() / all.max(0.001);
        Ok(Load { before: self.before, after: load_average()?, others_percent })
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { before, after, others_percent } = self;
        write!(
            f,
            "load average {before:.1} before and {after:.1} after; others had {others_percent:.0}% of the processors"
        )
    }
}

/// Processors, memory and kernel, in a few words.
pub(crate) fn describe() -> Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
    let cpu = read("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, name)| name);
    let memory = read("/proc/meminfo")?;
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let gib = kib.unwrap_or_default() / (1 << 20);
    Ok(format!("{} cores ({}), {gib} GiB", cores(), model.trim()))
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    text.split(' ').next().and_then(|first| first.parse().ok()).context("/proc/loadavg has no number")
}

/// Processor time of the whole machine that was not idle.
fn busy() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    parse_busy(&text).context("/proc/stat has no line of all processors")
}

fn parse_busy(text: &str) -> Option<Duration> {
    let fields: Vec<u64> =
        text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let ticks: u64 =
        fields.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, n)| n).sum();
    Some(ticks_to_time(ticks))
}

/// Processor time of a process.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    stat_time(&format!("/proc/{pid}/stat"), 11)
}

/// Processor time of the programs that this one has started and waited for.
pub(crate) fn cpu_time_of_children() -> Result<Duration> {
    stat_time("/proc/self/stat", 13)
}

fn stat_time(path: &str, field: usize) -> Result<Duration> {
    let stat = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    parse_stat_time(&stat, field).with_context(|| format!("{path} is not as expected"))
}

/// User plus system time, which are two fields that follow each other, counted from behind the name.
fn parse_stat_time(stat: &str, field: usize) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: Option<Vec<u64>> =
        fields.get(field..field + 2)?.iter().map(|field| field.parse().ok()).collect();
    Some(ticks_to_time(ticks?.iter().sum()))
}

/// Linux counts in hundredths of a second here, on every architecture that we know.
fn ticks_to_time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

/// Memory of a process, shared pages divided among those who share them, in bytes.
pub(crate) fn pss(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib << 10).with_context(|| format!("{path} has no Pss"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_processors_are_not_busy() {
        let text = "cpu  100 10 50 9000 900 5 5 30 70 0\ncpu0 1 2 3\n";
        assert_eq!(parse_busy(text), Some(Duration::from_millis(2000)));
        assert_eq!(parse_busy("intr 1\n"), None);
    }

    #[test]
    fn processor_time_is_user_and_system() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 100 1";
        assert_eq!(parse_stat_time(stat, 11), Some(Duration::from_secs(3)));
        assert_eq!(parse_stat_time(stat, 13), Some(Duration::from_millis(1010)));
        assert_eq!(parse_stat_time("7 (short) S 1", 11), None);
    }

    #[test]
    fn this_machine_can_be_described_and_watched() {
        assert!(describe().unwrap().contains("cores"));
        let load = Watch::start().unwrap().stop(Duration::ZERO).unwrap();
        assert!(load.others_percent >= 0.0);
        assert!(pss(std::process::id()).unwrap() > 1 << 20);
    }
}
