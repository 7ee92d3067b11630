//! The record of a boot that cannot go on, with nothing running that could help.

use std::sync::mpsc;
use std::time::Duration;

use camino::Utf8Path;
use corten_meta::MetaFile;
use corten_sys::kmsg;

use super::{LOG_LIMIT, RecordError, find, now_unix_ms, ring, this_boot};
use crate::boot::kernel_log;

/// For the whole of it: the disk may be what is broken.
const LIMIT: Duration = Duration::from_secs(3);

/// Tries to note why this boot ends. Never fails, and never takes long.
pub(in crate::boot) fn keep(reason: &str) {
    let (done, finished) = mpsc::channel();
    let reason = format!("fatal: {reason}");
    let started = std::thread::Builder::new().name("record".into()).spawn(move || {
        let kept = find::meta_of_any().is_some_and(|path| write(&path, &reason).is_ok());
        let _ = done.send(kept);
    });
    if started.is_ok() {
        let _ = finished.recv_timeout(LIMIT);
    }
}

/// Into the record of this boot, or a new one.
pub(super) fn write(path: &Utf8Path, reason: &str) -> Result<(), RecordError> {
    let ring = ring(&MetaFile::new(path))?;
    let mut record = this_boot();
    let known = ring.list().records.into_iter().find(|known| known.boot_id == record.boot_id);
    let log = kernel_log::text(&kmsg::snapshot().unwrap_or_default(), LOG_LIMIT);
    if let Some(known) = known {
        ring.amend(known.sequence, |record| {
            record.ended = Some(reason.to_owned());
            record.kernel_log = log;
            record.updated_unix_ms = now_unix_ms();
        })?;
        return Ok(());
    }
    record.ended = Some(reason.to_owned());
    record.kernel_log = log;
    ring.begin(&mut record)?;
    Ok(())
}
