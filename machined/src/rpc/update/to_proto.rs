//! Domain to wire.

use corten_api::v1::{
    BeginUpdateResponse, DeniedVersion, FailedUpdate, HealthCheckResult, HealthGate, PendingUpdate, Progress,
    Slot, UpdateProblem,
};
use corten_api::{codes, error};
use corten_meta::records;
use corten_resources::update::{SlotStatus, UpdateStatus};
use tonic::Status;

use crate::update::UpdateError;
use crate::update::preflight::{self, Problem};
use crate::update::source::SourceError;
use crate::update::transfer::TransferError;
use crate::update::view::Begun;

pub(super) fn begun(begun: Begun) -> BeginUpdateResponse {
    let Begun { problems, upload, offset, total, version } = begun;
    BeginUpdateResponse {
        problems: problems.into_iter().map(problem).collect(),
        upload,
        offset,
        total,
        version,
    }
}

fn problem(problem: Problem) -> UpdateProblem {
    let Problem { name, message, hint, can_force } = problem;
    UpdateProblem { name: name.to_owned(), message, hint, can_force }
}

/// All problems as one refusal.
pub(super) fn refused(problems: &[Problem]) -> Status {
    let causes = problems.iter().map(|problem| problem.message.clone()).collect();
    let can_force = problems.iter().all(|problem| problem.can_force);
    let hint = if can_force { "--force goes on in spite of it" } else { "osctl update status" };
    let busy = problems.iter().any(|problem| problem.name == preflight::BUSY);
    let code = if busy { codes::UPDATE_RUNNING } else { codes::UPDATE_REFUSED };
    let detail =
        error::ErrorDetail { code: code.to_owned(), causes, hint: hint.to_owned(), ..Default::default() };
    error::with_detail("this node does not take the update", detail)
}

pub(super) fn slot(config_generation: u64, label: String, slot: SlotStatus) -> Slot {
    Slot {
        label,
        version: slot.version,
        root_hash: slot.root_hash,
        running: slot.running,
        next: slot.next,
        blessed: slot.blessed,
        tries_left: slot.tries_left,
        tries_done: slot.tries_done,
        entry: slot.entry,
        config_generation,
    }
}

pub(super) fn gate(gate: &UpdateStatus) -> HealthGate {
    let check = |check: &corten_resources::update::GateCheck| HealthCheckResult {
        name: check.name.clone(),
        passed: check.passed,
        message: check.message.clone(),
    };
    HealthGate {
        phase: gate.phase.as_str().to_owned(),
        checks: gate.checks.iter().map(check).collect(),
        deadline_unix_ms: gate.deadline_unix_ms,
    }
}

pub(super) fn pending(
    pending: records::PendingUpdate,
    transfer: Option<(String, u64, u64)>,
) -> PendingUpdate {
    let (_, done_bytes, total_bytes) = transfer.unwrap_or_default();
    PendingUpdate {
        version: pending.version,
        from_version: pending.from_version,
        phase: pending.phase.as_str().to_owned(),
        done_bytes,
        total_bytes,
    }
}

pub(super) fn denied(denied: records::Denied) -> DeniedVersion {
    DeniedVersion {
        version: denied.version,
        root_hash: denied.root_hash,
        reason: denied.reason,
        time_unix_ms: denied.time_unix_ms,
    }
}

pub(super) fn failure(failure: records::FailedUpdate) -> FailedUpdate {
    FailedUpdate {
        version: failure.version,
        from_version: failure.from_version,
        reason: failure.reason,
        tries: failure.tries,
        time_unix_ms: failure.time_unix_ms,
        kernel_log: failure.kernel_log,
    }
}

/// A step of an upgrade, with its name for a person.
pub(super) fn step(step: &str, done_bytes: u64, total_bytes: u64) -> Progress {
    let message = match step {
        "fetch" => "fetching the bundle",
        "verify" => "reading the written slot back",
        "install" => "installing the kernel image",
        "drain" => "moving pods away",
        other => other,
    };
    Progress {
        step: step.to_owned(),
        message: message.to_owned(),
        done_bytes,
        total_bytes,
        ..Progress::default()
    }
}

impl From<UpdateError> for Status {
    fn from(failure: UpdateError) -> Self {
        let (code, hint) = match &failure {
            UpdateError::Bundle(_)
            | UpdateError::OtherRoot { .. }
            | UpdateError::Transfer(TransferError::Payload(_)) => (
                codes::UPDATE_INVALID,
                "take a whole bundle, from whoever built the image that this node runs",
            ),
            UpdateError::System(_) => {
                (codes::UPDATE_REFUSED, "install the machine first: osctl apply-config")
            }
            UpdateError::NoTransfer(_) | UpdateError::Transfer(TransferError::Offset { .. }) => {
                (codes::UPDATE_TRANSFER, "begin again with the same bundle: it goes on where it stopped")
            }
            UpdateError::Sending => (codes::UPDATE_RUNNING, "wait for it: osctl update status"),
            UpdateError::NothingToRollBackTo => (codes::UPDATE_NO_ROLLBACK, "osctl update status"),
            UpdateError::Verify(_) => (
                codes::UPDATE_WRITE,
                "the disk is failing (osctl dmesg), or the bundle was not built in order; nothing boots what was written",
            ),
            UpdateError::Transfer(_) | UpdateError::Esp(_) | UpdateError::Disk { .. } => (
                codes::UPDATE_WRITE,
                "the disk may be full or failing: osctl dmesg; nothing boots what was written",
            ),
            _ => (codes::INTERNAL, "osctl dmesg"),
        };
        error::to_status(code, &failure, hint)
    }
}

impl From<SourceError> for Status {
    fn from(failure: SourceError) -> Self {
        error::to_status(codes::UPDATE_SOURCE, &failure, "check the address from this node's network")
    }
}
