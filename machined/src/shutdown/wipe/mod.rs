//! Erases volumes or the whole disk, when nothing uses them any more. It cannot hang.
//!
//! ```text
//! per target: mark ─ discard, checked ─ zeros ─ headers only ─ next target
//!                        └──── each with a deadline, on a thread of its own
//! ```
//! A volume is marked first, so that a power cut leaves one that the next boot erases and formats. What cannot be
//! erased in one way is erased in the next, and the console says so. Everything of ours is kept in memory meanwhile: the
//! root image is on the disk that goes.

mod erase;
mod plan;

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use corten_sys::block::{self, gpt};
use tokio::time::timeout;
use tracing::warn;

use crate::boot::fatal::say;
use crate::controllers::block::marker;
use crate::errors::chain;
use crate::node::{WipeMethod, WipePlan};
use erase::EraseError;
use plan::{STALL, Target, Way};

/// To read the partition table.
const LOOK: Duration = Duration::from_secs(10);
/// Between two lines on the console.
const TELL: u64 = 4 << 30;

/// Threads that have not come back. One that hangs in the kernel may still write when it does.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// A wipe that is ready to run.
#[derive(Debug)]
pub(super) struct Wipe {
    device: Utf8PathBuf,
    method: WipeMethod,
    targets: Vec<Target>,
}

impl Wipe {
    /// Finds what is to be erased. Without a disk, or without an answer from it, there is nothing to erase, and the
    /// console says why.
    pub(super) async fn prepare(plan: WipePlan) -> Self {
        let device = Utf8PathBuf::from("/dev").join(plan.device.replace('!', "/"));
        let method = plan.method;
        let targets = match on_thread(LOOK, move || look(&plan)).await {
            Some(Ok(targets)) => targets,
            Some(Err(error)) => {
                say(&format!("corten: {device} cannot be erased: {error}"));
                Vec::new()
            }
            None => {
                say(&format!("corten: {device} does not answer and cannot be erased"));
                Vec::new()
            }
        };
        Self { device, method, targets }
    }

    /// One partition, by its own device node.
    pub(super) async fn of_partition(device: &Utf8Path, label: &str) -> Self {
        let path = device.to_owned();
        let size = on_thread(LOOK, move || File::open(path).and_then(|file| block::size(&file))).await;
        let whole = |size| Target { name: label.to_owned(), range: 0..size, marked: true };
        let targets = size.and_then(Result::ok).map(whole).into_iter().collect();
        Self { device: device.to_owned(), method: WipeMethod::Default, targets }
    }

    /// How long it may take.
    pub(super) fn budget(&self) -> Duration {
        plan::budget(&self.targets, self.method)
    }

    /// Erases one target after the other.
    pub(super) async fn run(self) {
        // Code that is not in memory yet could not be read any more.
        if let Err(error) = corten_sys::memory::lock_all() {
            warn!(%error, "the memory of machined is not locked");
        }
        let _over = self.run_unlocked().await;
    }

    /// The same, while the root image stays. Tells whether nothing writes to the disk any more.
    pub(super) async fn run_unlocked(self) -> bool {
        for target in &self.targets {
            self.erase(target).await;
        }
        AT_WORK.load(Ordering::Relaxed) == 0
    }

    async fn erase(&self, target: &Target) {
        let length = target.range.end - target.range.start;
        say(&format!("corten: erasing {} ({} MiB)", target.name, length >> 20));
        if target.marked {
            self.attempt(target, None).await;
        }
        for way in plan::ways(self.method) {
            if self.attempt(target, Some(*way)).await {
                say(&format!("corten: erased {} {}", target.name, way.words()));
                return;
            }
        }
        say(&format!("corten: {} is NOT erased", target.name));
    }

    /// One way, or just the mark. Tells whether it worked.
    async fn attempt(&self, target: &Target, way: Option<Way>) -> bool {
        let length = target.range.end - target.range.start;
        let (limit, what) = match way {
            None => (LOOK, "as to be erased"),
            Some(way) => (way.deadline(length), way.words()),
        };
        let seen = Arc::new(Seen::default());
        let work = {
            let (device, target) = (self.device.clone(), target.clone());
            let seen = Arc::clone(&seen);
            move || work(&device, &target, way, &seen)
        };
        let outcome = tokio::select! {
            outcome = on_thread(limit, work) => outcome.ok_or_else(|| format!("takes longer than {} s", limit.as_secs())),
            () = seen.stall(STALL), if way == Some(Way::Zeros) => Err("makes no progress".to_owned()),
        };
        seen.abandoned.store(true, Ordering::Relaxed);
        let failed = match outcome {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => format!("{what}: {}", chain(&error)),
            Err(slow) => format!("{what} {slow} and is left"),
        };
        say(&format!("corten: {} {failed}", target.name));
        false
    }
}

/// What a thread that erases and whoever waits for it tell each other.
#[derive(Debug, Default)]
struct Seen {
    /// Nobody waits any more.
    abandoned: AtomicBool,
    /// Bytes that are erased.
    done: AtomicU64,
}

impl Seen {
    /// Ends when nothing was done for so long.
    async fn stall(&self, limit: Duration) {
        loop {
            let before = self.done.load(Ordering::Relaxed);
            tokio::time::sleep(limit).await;
            if self.done.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

fn look(plan: &WipePlan) -> io::Result<Vec<Target>> {
    let disk = block::disk(&plan.device).ok_or(io::ErrorKind::NotFound)?;
    let partitions = gpt::read(&disk.path, disk.sector_size).unwrap_or_default();
    let targets = plan::targets(plan, disk.size, &partitions);
    if targets.is_empty() { Err(io::Error::other("what was asked for is not on it")) } else { Ok(targets) }
}

fn work(device: &Utf8PathBuf, target: &Target, way: Option<Way>, seen: &Seen) -> Result<(), EraseError> {
    let open = File::options().read(true).write(true).open(device);
    let disk = open.map_err(|error| EraseError::Disk("open", error))?;
    let Some(way) = way else {
        return marker::set_before(&disk, target.range.end).map_err(|error| EraseError::Disk("mark", error));
    };
    let told = Cell::new(0);
    let length = target.range.end - target.range.start;
    let go_on = |done: u64| {
        if done - told.get() >= TELL {
            told.set(done);
            say(&format!("corten: erasing {}: {} %", target.name, done * 100 / length.max(1)));
        }
        seen.done.store(done, Ordering::Relaxed);
        !seen.abandoned.load(Ordering::Relaxed)
    };
    // The mark goes last, so that a power cut at any time leaves either the mark or nothing at all.
    let body = if target.marked && way == Way::Zeros {
        target.range.start..target.range.end - marker::RESERVED.min(length)
    } else {
        target.range.clone()
    };
    erase::erase(&disk, body.clone(), way, go_on)?;
    if body.end < target.range.end {
        erase::erase(&disk, body.end..target.range.end, Way::Zeros, |_| true)?;
    }
    Ok(())
}

/// Runs what may hang on a thread of its own; `None` when it did not end in time.
async fn on_thread<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, finished) = tokio::sync::oneshot::channel();
    AT_WORK.fetch_add(1, Ordering::Relaxed);
    let started = std::thread::Builder::new().name("wipe".into()).spawn(move || {
        let result = work();
        AT_WORK.fetch_sub(1, Ordering::Relaxed);
        let _ = done.send(result); // nobody may be waiting any more
    });
    started.ok()?;
    timeout(limit, finished).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_is_given_up_long_before_all_of_it_could_be_written() {
        let seen = Arc::new(Seen::default());
        let works = Arc::clone(&seen);
        let worker = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(STALL / 2).await;
                works.done.fetch_add(1, Ordering::Relaxed);
            }
        });
        let begin = tokio::time::Instant::now();
        seen.stall(STALL).await;
        assert!(worker.is_finished(), "one that makes progress is not given up");
        assert!(begin.elapsed() <= STALL * 7);
    }
}
