//! What META remembers of an update that ends.

use corten_meta::records::{Denied, Denylist, FailedUpdate, PendingUpdate};
use corten_meta::{Meta, MetaError};

/// What is known of boots that did not reach the gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Why the last one ended; empty when nothing is known.
    pub reason: String,
    /// Last lines of its kernel log.
    pub kernel_log: Vec<String>,
}

/// No update is pending any more.
pub(super) fn forget(meta: &mut Meta) -> Result<(), MetaError> {
    meta.remove_record::<PendingUpdate>();
    Ok(())
}

/// The version is refused from now on, and everybody can see why.
pub(super) fn deny(
    meta: &mut Meta,
    pending: &PendingUpdate,
    failure: &FailedUpdate,
) -> Result<(), MetaError> {
    let mut denied = meta.record::<Denylist>()?.unwrap_or_default();
    denied.deny(Denied {
        version: pending.version.clone(),
        root_hash: pending.root_hash.clone(),
        reason: failure.reason.clone(),
        time_unix_ms: failure.time_unix_ms,
        ..Denied::default()
    });
    meta.set_record(&denied)?;
    meta.set_record(failure)?;
    forget(meta)
}

pub(super) fn failure(pending: &PendingUpdate, tries: u32, evidence: Evidence) -> FailedUpdate {
    let known = [pending.reason.clone(), evidence.reason].into_iter().find(|reason| !reason.is_empty());
    FailedUpdate {
        version: pending.version.clone(),
        from_version: pending.from_version.clone(),
        reason: known.unwrap_or_else(|| "it left no trace: it never came as far as machined".to_owned()),
        tries,
        time_unix_ms: jiff::Timestamp::now().as_millisecond(),
        kernel_log: evidence.kernel_log,
        ..FailedUpdate::default()
    }
}
