//! The one handle to slots, transfers and META: controllers and API calls go through it.
//!
//! Everything that touches the disk runs on the runtime's blocking threads, one at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use corten_bundle::{Digest, Header, Manifest, Payload, TrustedKeys};
use corten_constants::paths;
use corten_meta::records::{Denylist, PendingUpdate, Phase};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::UpdateError;
use super::esp::Esp;
use super::memory::{Evidence, forget};
use super::outcome::Outcome;
use super::preflight::{self, Facts};
use super::seen::{Moment, Seen};
use super::slots::{self, BootEntry, SlotPartition};
use super::system::System;
use super::transfer::{Transfer, TransferError};
use super::view::{Baseline, Begun, View};
use super::{settle, stage};
use crate::one_at_a_time::OneAtATime;
use crate::versions;

/// A complete transfer counts as in use for this long while it is read back.
const STAGING: Duration = Duration::from_secs(900);

/// The handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Updates {
    inner: Arc<Inner>,
    changed: Arc<Notify>,
    /// Work on the disk.
    one_at_a_time: OneAtATime,
}

/// What is behind it.
#[derive(Debug)]
pub(super) struct Inner {
    disk: Option<String>,
    pub(super) running: String,
    /// An update was begun in this boot.
    pub(super) begun: AtomicBool,
    /// Held for as long as a step takes: only by work on the disk.
    current: Mutex<Option<Current>>,
    /// What others see of it.
    seen: Seen,
}

/// Who sends the bytes of a transfer, until it is dropped.
#[derive(Debug)]
pub struct Sender {
    inner: Arc<Inner>,
    upload: String,
    name: u64,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.inner.seen.release(self.name);
    }
}

#[derive(Debug)]
struct Current {
    upload: String,
    transfer: Transfer,
}

impl Default for Updates {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Updates {
    /// Updates of the system on the disk with this kernel name; none when it was not started from a disk.
    pub fn new(disk: Option<String>) -> Self {
        let inner = Inner {
            disk,
            running: versions::root_hash(),
            begun: AtomicBool::default(),
            current: Mutex::default(),
            seen: Seen::default(),
        };
        let inner = Arc::new(inner);
        Self { inner, changed: Arc::default(), one_at_a_time: OneAtATime::default() }
    }

    /// Root hash that runs.
    pub fn running(&self) -> &str {
        &self.inner.running
    }

    /// Whether there is a disk to update at all.
    pub fn has_disk(&self) -> bool {
        self.inner.disk.is_some()
    }

    /// Notified when slots or META changed.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, UpdateError> + Send + 'static,
    ) -> Result<T, UpdateError> {
        let inner = Arc::clone(&self.inner);
        self.one_at_a_time.run(move || work(&inner)).await?
    }

    /// What the disk says.
    ///
    /// # Errors
    /// When there is no system disk or it cannot be read.
    pub async fn look(&self) -> Result<View, UpdateError> {
        self.work(Inner::look).await
    }

    /// Whether META knows of an update; cheaper than [`Self::look`].
    ///
    /// # Errors
    /// When META cannot be read.
    pub async fn pending(&self) -> Result<Option<PendingUpdate>, UpdateError> {
        self.work(|inner| Ok(inner.system()?.meta_file().load()?.record()?)).await
    }

    /// Finds out what became of the pending update and writes it down. `evidence` is asked why the last boots of an image
    /// ended; it gets the root hash.
    ///
    /// # Errors
    /// When the disk cannot be read or written.
    pub async fn settle(
        &self,
        evidence: impl FnOnce(&PendingUpdate) -> Evidence + Send + 'static,
    ) -> Result<Outcome, UpdateError> {
        let outcome = self.work(|inner| settle::settle(inner, evidence)).await?;
        self.changed.notify_one();
        Ok(outcome)
    }

    /// The running slot stays.
    ///
    /// # Errors
    /// When the disk refuses; the boot loader goes on counting then.
    pub async fn bless(&self) -> Result<(), UpdateError> {
        self.work(|inner| {
            let system = inner.system()?;
            stage::bless(&Esp::mount(&system.esp)?, &inner.running)?;
            Ok(system.meta_file().update(forget)?)
        })
        .await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Writes down why this try failed, for the slot that comes after it.
    ///
    /// # Errors
    /// When META refuses.
    pub async fn fail(&self, reason: String) -> Result<(), UpdateError> {
        self.work(move |inner| {
            inner.change_pending(|pending| {
                pending.phase = Phase::Trial;
                pending.reason = reason;
            })
        })
        .await
    }

    /// Checks a header, and opens the slot for its payload unless something speaks against it. `facts` are what the disk
    /// does not say.
    ///
    /// # Errors
    /// When it is no bundle, not signed by a key of this image, or the disk refuses.
    pub async fn begin(
        &self,
        header: Vec<u8>,
        facts: Facts,
        force: bool,
        dry_run: bool,
        baseline: Baseline,
    ) -> Result<Begun, UpdateError> {
        // Asked before it is our turn: by then the other one may be through.
        let busy = self.inner.seen.in_the_way_of(&Digest::of(&header).to_string());
        let facts = Facts { busy, ..facts };
        let begun = self.work(move |inner| inner.begin(&header, facts, force, dry_run, baseline)).await?;
        self.changed.notify_one();
        Ok(begun)
    }

    /// Lets the caller send the payload of a transfer that was begun.
    ///
    /// # Errors
    /// When somebody else does.
    pub fn sender(&self, upload: &str) -> Result<Sender, UpdateError> {
        let name = self.inner.seen.claim(upload).ok_or(UpdateError::Sending)?;
        Ok(Sender { inner: Arc::clone(&self.inner), upload: upload.to_owned(), name })
    }

    /// Takes a piece of the payload; answers where the next one belongs, and whether that was all.
    ///
    /// # Errors
    /// When there is no such transfer, or it refuses the piece.
    pub async fn write(
        &self,
        sender: &Sender,
        offset: u64,
        bytes: bytes::Bytes,
    ) -> Result<(u64, bool), UpdateError> {
        let upload = sender.upload.clone();
        self.work(move |inner| {
            let taken = inner.with_current(&upload, |current| {
                current.transfer.write(offset, &bytes)?;
                inner.show(current, Instant::now());
                Ok((current.transfer.offset(), current.transfer.offset() == current.transfer.total()))
            });
            inner.give_up_after(taken)
        })
        .await
    }

    /// Makes a complete transfer the next to boot. Answers its version.
    ///
    /// # Errors
    /// When it is not complete, or what was written does not read back; nothing would boot it then.
    pub async fn stage(
        &self,
        upload: String,
        tries: u32,
        now: Baseline,
        mut report: impl FnMut(&'static str, u64, u64) + Send + 'static,
    ) -> Result<String, UpdateError> {
        let version = self
            .work(move |inner| {
                let staged = inner.with_current(&upload, |current| {
                    // Reading back takes longer than a client may be silent.
                    inner.show(current, Instant::now() + STAGING);
                    stage::stage(inner, &mut current.transfer, tries, &now, &mut report)
                });
                let name = inner.give_up_after(staged)?;
                inner.drop_current();
                Ok(name.version.to_string())
            })
            .await?;
        self.changed.notify_one();
        Ok(version)
    }

    /// Makes the other slot the next to boot, or gives up what is staged there. Answers the version that is booted next.
    ///
    /// # Errors
    /// When it holds none, or the disk refuses.
    pub async fn roll_back(&self) -> Result<String, UpdateError> {
        let version = self
            .work(|inner| {
                let system = inner.system()?;
                let name = stage::roll_back(&Esp::mount(&system.esp)?, &inner.running)?;
                let name = name.ok_or(UpdateError::NothingToRollBackTo)?;
                system.meta_file().update(forget)?;
                Ok(name.version.to_string())
            })
            .await?;
        self.changed.notify_one();
        Ok(version)
    }

    /// Forgets that a version failed here. Tells whether it had.
    ///
    /// # Errors
    /// When META refuses.
    pub async fn allow(&self, version: String) -> Result<bool, UpdateError> {
        self.work(move |inner| {
            Ok(inner.system()?.meta_file().update(|meta| {
                let mut denied = meta.record::<Denylist>()?.unwrap_or_default();
                let was = denied.allow(&version);
                meta.set_record(&denied)?;
                Ok(was)
            })?)
        })
        .await
    }

    /// Version of the update that somebody is sending right now.
    pub fn being_written(&self) -> Option<String> {
        self.inner.seen.being_written()
    }

    /// Version and bytes of the transfer that is going on.
    pub fn transfer(&self) -> Option<(String, u64, u64)> {
        self.inner.seen.get().map(|moment| (moment.version, moment.offset, moment.total))
    }
}

impl Inner {
    pub(super) fn system(&self) -> Result<System, UpdateError> {
        Ok(System::find(self.disk.as_deref())?)
    }

    /// Changes what META says of the pending update, if there is one.
    pub(super) fn change_pending(&self, change: impl FnOnce(&mut PendingUpdate)) -> Result<(), UpdateError> {
        Ok(self.system()?.meta_file().update(|meta| {
            if let Some(mut pending) = meta.record::<PendingUpdate>()? {
                change(&mut pending);
                meta.set_record(&pending)?;
            }
            Ok(())
        })?)
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others see how far a transfer is.
    fn show(&self, Current { upload, transfer }: &Current, last: Instant) {
        self.seen.show(Moment {
            upload: upload.clone(),
            version: transfer.manifest.version.to_string(),
            offset: transfer.offset(),
            total: transfer.total(),
            last,
        });
    }

    fn drop_current(&self) {
        *self.current() = None;
        self.seen.clear();
    }

    fn with_current<T>(
        &self,
        upload: &str,
        work: impl FnOnce(&mut Current) -> Result<T, UpdateError>,
    ) -> Result<T, UpdateError> {
        let mut current = self.current();
        let found = current.as_mut().filter(|current| current.upload == upload);
        work(found.ok_or_else(|| UpdateError::NoTransfer(upload.to_owned()))?)
    }

    /// What was written is worth nothing after a failure, unless only a piece came out of turn: begin anew.
    fn give_up_after<T>(&self, result: Result<T, UpdateError>) -> Result<T, UpdateError> {
        match &result {
            Ok(_) | Err(UpdateError::NoTransfer(_) | UpdateError::Transfer(TransferError::Offset { .. })) => {
            }
            // Its entry may be there already, and META has to say so.
            Err(UpdateError::Meta(_)) => self.drop_current(),
            Err(_) => {
                self.drop_current();
                let forgotten = self.system().and_then(|system| Ok(system.meta_file().update(forget)?));
                if let Err(error) = forgotten {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "META still tells of the update"
                    );
                }
            }
        }
        result
    }

    fn look(&self) -> Result<View, UpdateError> {
        let system = self.system()?;
        let entries = Esp::look(&system.esp)?.entries()?;
        let meta = system.meta_file().load()?;
        Ok(View {
            slots: slots::combine(&system.slots, &entries, &self.running),
            pending: meta.record()?,
            denied: meta.record::<Denylist>()?.unwrap_or_default().0,
            failure: meta.record()?,
        })
    }

    fn begin(
        &self,
        header: &[u8],
        facts: Facts,
        force: bool,
        dry_run: bool,
        baseline: Baseline,
    ) -> Result<Begun, UpdateError> {
        let header = Header::read(header)?;
        let manifest = header.verify(&TrustedKeys::load(paths::UPDATE_KEYS.as_ref())?)?;
        let upload = Digest::of(header.as_bytes()).to_string();
        let system = self.system()?;
        let slot = slots::target(&system.slots, &self.running).ok_or(UpdateError::NoTarget)?.clone();
        let esp = Esp::mount(&system.esp)?;
        let entries = esp.entries()?;
        let facts = self.complete(facts, &system, &entries, &esp, &slot, &upload)?;
        let problems = preflight::problems(&manifest, &facts);
        let (total, version) = (Payload::new(&manifest).len(), manifest.version.to_string());
        let mut begun = Begun { problems, upload, offset: 0, total, version };
        if dry_run || begun.problems.iter().any(|problem| !(force && problem.can_force)) {
            return Ok(begun);
        }
        begun.problems.clear();
        if let Some(current) = self.current().as_mut().filter(|current| current.upload == begun.upload) {
            self.show(current, Instant::now());
            begun.offset = current.transfer.offset();
            return Ok(begun);
        }
        self.drop_current(); // an idle one
        self.begun.store(true, Ordering::Release);
        self.forget_slot(&system, &esp, &entries, &slot, &manifest, baseline)?;
        let transfer = Transfer::begin(manifest, slot, esp)?;
        let current = Current { upload: begun.upload.clone(), transfer };
        self.show(&current, Instant::now());
        *self.current() = Some(current);
        Ok(begun)
    }

    /// What only the disk knows.
    fn complete(
        &self,
        facts: Facts,
        system: &System,
        entries: &[BootEntry],
        esp: &Esp,
        slot: &SlotPartition,
        upload: &str,
    ) -> Result<Facts, UpdateError> {
        let denied = system.meta_file().load()?.record::<Denylist>()?.unwrap_or_default().0;
        let running = entries.iter().filter(|entry| entry.root_hash.as_str() == self.running);
        Ok(Facts {
            root_hash: self.running.clone(),
            slot_size: slot.size,
            esp_free: esp.free()?.saturating_add(esp.taken(of_slot(entries, slot).map(|entry| &entry.name))),
            // A machine that was started from outside has no entry that runs, and nothing to be careful about.
            blessed: running.clone().count() == 0 || running.clone().any(|entry| entry.name.tries.is_none()),
            busy: facts.busy.or_else(|| self.seen.in_the_way_of(upload)),
            denied: denied.into_iter().map(|one| (one.root_hash, one.reason)).collect(),
            ..facts
        })
    }

    /// Nothing boots the slot from here on, and META says what is going on.
    fn forget_slot(
        &self,
        system: &System,
        esp: &Esp,
        entries: &[BootEntry],
        slot: &SlotPartition,
        manifest: &Manifest,
        baseline: Baseline,
    ) -> Result<(), UpdateError> {
        for entry in of_slot(entries, slot) {
            esp.remove(&entry.name)?;
        }
        let pending = PendingUpdate {
            version: manifest.version.to_string(),
            from_version: versions::version().to_owned(),
            root_hash: manifest.root_hash.to_string(),
            phase: Phase::Writing,
            baseline_unmet: baseline.unmet,
            baseline_ready: baseline.ready,
            config_generation: baseline.config_generation,
            started_unix_ms: jiff::Timestamp::now().as_millisecond(),
            ..PendingUpdate::default()
        };
        Ok(system.meta_file().update(|meta| meta.set_record(&pending))?)
    }
}

/// The entries that boot what is in this slot.
fn of_slot<'a>(entries: &'a [BootEntry], slot: &'a SlotPartition) -> impl Iterator<Item = &'a BootEntry> {
    entries.iter().filter(|entry| entry.root_hash.partition_uuid() == slot.uuid)
}
