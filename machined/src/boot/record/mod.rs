//! The record of this boot on META, and those of the boots before.
//!
//! ```text
//! begin ── store … store ── end            fatal: best effort, also from the initramfs
//!   └ what the kernel left in pstore goes to the record of the boot before
//! ```
//! Begins once META is known. Each call opens the partition anew: after [`Recorder::end`] nothing writes to it any more,
//! so that a reset can erase it. The disk is only touched on threads for blocking work.

mod fatal;
mod find;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::{Utf8Path, Utf8PathBuf};
use corten_meta::boot::{BootRecord, Ring, RingError, Slot};
use corten_meta::{MetaError, MetaFile};
use tokio::sync::watch;

use super::pstore;
use crate::kernel_ring::KernelRing;
use crate::versions;

pub(super) use fatal::keep as keep_fatal;
pub use find::{meta_of, meta_of_any};

/// How much of the kernel's log is kept, in bytes.
const LOG_LIMIT: usize = 256 << 10;

/// Why a boot record is not there.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Nothing is installed, or the disk is not there yet.
    #[error("this machine has no META partition (yet)")]
    NoMeta,
    /// The partition cannot be opened.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// It cannot be written.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The thread died.
    #[error("the thread that writes the boot record ended")]
    Thread(#[source] tokio::task::JoinError),
}

/// Keeps this boot's record. Clones share it.
#[derive(Debug, Clone)]
pub struct Recorder {
    kernel_log: KernelRing,
    inner: Arc<Mutex<Inner>>,
    /// Whether the beginning is over, however it went.
    begun: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    meta: Option<MetaFile>,
    /// Absent before the beginning and after the end.
    current: Option<(Slot, BootRecord)>,
}

impl Recorder {
    /// A recorder that has not begun.
    pub fn new(kernel_log: KernelRing) -> Self {
        Self { kernel_log, inner: Arc::default(), begun: watch::Sender::new(false) }
    }

    /// Begins this boot's record on the META partition at `path`, and first completes that of the boot before.
    ///
    /// # Errors
    /// When META cannot be written. The recorder then stays silent; records of earlier boots can still be read.
    pub async fn begin(&self, path: &Utf8Path) -> Result<(), RecordError> {
        let path = path.to_owned();
        self.blocking(move |recorder| recorder.begin_blocking(&path, pstore::DIR.into())).await
    }

    /// Waits until the beginning is over, at most so long. What the kernel left of the boot before is in its record then;
    /// before, the records do not say how it ended.
    pub async fn begun(&self, limit: Duration) {
        let mut begun = self.begun.subscribe();
        // The sender is ours, so all that can end the waiting early is the time.
        let _ = tokio::time::timeout(limit, begun.wait_for(|begun| *begun)).await;
    }

    /// Refreshes the record. `ended` stays what it was when it is `None`. Does nothing when there is no record.
    ///
    /// # Errors
    /// When META cannot be written.
    pub async fn store(
        &self,
        stage: impl Into<String>,
        unmet: Vec<String>,
        ended: Option<String>,
    ) -> Result<(), RecordError> {
        let stage = stage.into();
        self.change(move |record| {
            record.stage = stage;
            record.unmet = unmet;
            record.ended = ended.or(record.ended.take());
        })
        .await
    }

    /// Notes how this boot ends, unless something was noted before. Nothing is written from then on.
    ///
    /// # Errors
    /// When META cannot be written.
    pub async fn end(&self, how: impl Into<String>) -> Result<(), RecordError> {
        let how = how.into();
        let result = self.change(move |record| record.ended = record.ended.take().or(Some(how))).await;
        // On a thread that may wait: whoever holds the lock may hang on its disk.
        self.blocking(|recorder| {
            recorder.lock().current = None;
            Ok(())
        })
        .await?;
        result
    }

    /// Records of the boots before this one, the newest first.
    ///
    /// # Errors
    /// When there is no META.
    pub async fn previous(&self) -> Result<Vec<BootRecord>, RecordError> {
        let boot = versions::boot_id();
        self.blocking(move |recorder| {
            let mut records = ring(&recorder.meta()?)?.list().records;
            records.retain(|record| record.boot_id != boot);
            Ok(records)
        })
        .await
    }

    async fn change(&self, change: impl FnOnce(&mut BootRecord) + Send + 'static) -> Result<(), RecordError> {
        self.blocking(move |recorder| {
            let log = recorder.kernel_log.text(LOG_LIMIT);
            let mut inner = recorder.lock();
            let Inner { meta: Some(meta), current: Some((slot, record)) } = &mut *inner else {
                return Ok(());
            };
            change(record);
            record.kernel_log = log;
            record.updated_unix_ms = now_unix_ms();
            Ok(ring(meta)?.store(slot, record)?)
        })
        .await
    }

    fn begin_blocking(&self, path: &Utf8Path, pstore: &Utf8Path) -> Result<(), RecordError> {
        let mut inner = self.lock();
        let meta = inner.meta.insert(MetaFile::new(path)).clone();
        let ring = ring(&meta)?;
        keep_pstore(&ring, pstore)?;
        let mut record = BootRecord { kernel_log: self.kernel_log.text(LOG_LIMIT), ..this_boot() };
        let slot = ring.begin(&mut record)?;
        inner.current = Some((slot, record));
        Ok(())
    }

    fn meta(&self) -> Result<MetaFile, RecordError> {
        self.lock().meta.clone().ok_or(RecordError::NoMeta)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, RecordError> {
        let recorder = self.clone();
        tokio::task::spawn_blocking(move || work(&recorder)).await.map_err(RecordError::Thread)?
    }
}

/// Gives the kernel's last words to the boot that they belong to: the newest that was cut off, or one that never came as
/// far as to begin a record.
fn keep_pstore(ring: &Ring<File>, dir: &Utf8Path) -> Result<(), RecordError> {
    let dump = pstore::read(dir);
    if dump.is_empty() {
        return Ok(());
    }
    let last = ring.list().records.into_iter().next().filter(|record| record.ended.is_none());
    match last {
        Some(last) => drop(ring.amend(last.sequence, |record| {
            record.pstore.push_str(&dump.text);
            record.ended = Some(dump.reason());
        })?),
        None => {
            let ended = Some(dump.reason());
            let mut record = BootRecord { pstore: dump.text.clone(), ended, ..BootRecord::default() };
            record.updated_unix_ms = now_unix_ms();
            ring.begin(&mut record)?;
        }
    }
    if let Err(error) = dump.delete() {
        tracing::warn!(%error, "the kernel's last words stay in the firmware");
    }
    Ok(())
}

fn ring(meta: &MetaFile) -> Result<Ring<File>, RecordError> {
    Ok(Ring::new(meta.open()?))
}

/// What is known at any time, also in the initramfs, which does not know its version.
fn this_boot() -> BootRecord {
    let up = i64::try_from(versions::uptime_ms()).unwrap_or(0);
    BootRecord {
        boot_id: versions::boot_id(),
        version: versions::image_version().unwrap_or_default().to_owned(),
        root_hash: versions::root_hash(),
        started_unix_ms: now_unix_ms().saturating_sub(up),
        updated_unix_ms: now_unix_ms(),
        stage: "booting".to_owned(),
        ..BootRecord::default()
    }
}

fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Begins the record on the META partition of `disk`, in the background: a boot does not wait for it.
pub async fn begin(recorder: Recorder, disk: Option<String>) {
    if let Some(disk) = disk
        && let Err(error) = begin_on(&recorder, disk).await
    {
        tracing::warn!(error = crate::errors::chain(&error), "this boot is not recorded");
    }
    recorder.begun.send_replace(true);
}

async fn begin_on(recorder: &Recorder, disk: String) -> Result<(), RecordError> {
    let path: Option<Utf8PathBuf> = tokio::task::spawn_blocking(move || meta_of(&disk)).await.ok().flatten();
    recorder.begin(&path.ok_or(RecordError::NoMeta)?).await
}
