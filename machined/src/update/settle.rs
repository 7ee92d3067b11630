//! What became of the update that was pending when the machine came up: found out once per boot, and written down.

use std::sync::atomic::Ordering;

use corten_meta::records::PendingUpdate;

use super::UpdateError;
use super::esp::Esp;
use super::handle::Inner;
use super::memory::{Evidence, deny, failure, forget};
use super::outcome::{self, Outcome};
use super::stage;

/// Decides, from META and the boot loader's entries, and puts both in order. `evidence` is asked why the last tries ended.
pub(super) fn settle(
    inner: &Inner,
    evidence: impl FnOnce(&PendingUpdate) -> Evidence,
) -> Result<Outcome, UpdateError> {
    let system = inner.system()?;
    let file = system.meta_file();
    if file.mend()? {
        tracing::warn!(
            "both copies of META were damaged: what it knew of updates and of versions that failed is lost"
        );
    }
    let Some(pending) = file.load()?.record::<PendingUpdate>()? else { return Ok(Outcome::Nothing) };
    // What was begun in this boot has not been booted, and looks as if it had been given up.
    if inner.begun.load(Ordering::Acquire) {
        return Ok(Outcome::Nothing);
    }
    let esp = Esp::mount(&system.esp)?;
    let outcome = outcome::decide(Some(&pending), &esp.entries()?, &inner.running);
    match outcome {
        Outcome::Nothing | Outcome::Trial => {}
        Outcome::Stays => file.update(forget)?,
        Outcome::Abandoned | Outcome::Incomplete => {
            // It would be booted next, and nobody would remember what it is.
            stage::unstage(&esp, &inner.running)?;
            file.update(forget)?;
        }
        Outcome::FellBack { tries } => {
            let failure = failure(&pending, tries, evidence(&pending));
            file.update(|meta| deny(meta, &pending, &failure))?;
        }
    }
    Ok(outcome)
}
