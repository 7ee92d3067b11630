//! What this boot says about the update that was pending: decided once, early, from META and the entries.

use corten_meta::records::{PendingUpdate, Phase};

use super::slots::BootEntry;

/// What became of the pending update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was none, or it has not been booted yet.
    Nothing,
    /// This boot is one of its tries.
    Trial,
    /// It runs, and was found good before the power went.
    Stays,
    /// Its tries are used up: the boot loader went back.
    FellBack {
        /// How often it was started.
        tries: u32,
    },
    /// Somebody chose the other slot before it was found good.
    Abandoned,
    /// It was never complete: the machine went down while it was written.
    Incomplete,
}

/// Decides. `running` is the root hash of the running image.
pub fn decide(pending: Option<&PendingUpdate>, entries: &[BootEntry], running: &str) -> Outcome {
    let Some(pending) = pending else { return Outcome::Nothing };
    let entry = entries.iter().find(|entry| entry.root_hash.as_str() == pending.root_hash);
    if pending.root_hash == running {
        return match entry.and_then(|entry| entry.name.tries) {
            Some(_) => Outcome::Trial,
            None => Outcome::Stays,
        };
    }
    match (&pending.phase, entry.map(|entry| entry.name.tries)) {
        // The entry is asked first: the power may have gone before META learnt that it was installed.
        (_, Some(Some(tries))) if tries.left == 0 => Outcome::FellBack { tries: tries.done },
        (Phase::Writing | Phase::Written, _) | (_, None) => Outcome::Incomplete,
        (_, Some(_)) => Outcome::Abandoned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::cmdline::RootHash;

    #[test]
    fn each_end_of_an_update_is_told_from_the_disk() {
        let (old, new) = ("a".repeat(64), "b".repeat(64));
        let pending = |phase| PendingUpdate { root_hash: new.clone(), phase, ..PendingUpdate::default() };
        let entry = |name: &str| {
            vec![BootEntry { name: name.parse().unwrap(), root_hash: RootHash::parse(&new).unwrap() }]
        };
        let cases = [
            (Phase::Staged, entry("corten-000002-1.0.0+2-1.efi"), &new, Outcome::Trial),
            (Phase::Staged, entry("corten-000002-1.0.0.efi"), &new, Outcome::Stays),
            (Phase::Trial, entry("corten-000002-1.0.0+0-3.efi"), &old, Outcome::FellBack { tries: 3 }),
            (Phase::Written, entry("corten-000002-1.0.0+0-3.efi"), &old, Outcome::FellBack { tries: 3 }),
            (Phase::Trial, entry("corten-000002-1.0.0+2-1.efi"), &old, Outcome::Abandoned),
            (Phase::Writing, vec![], &old, Outcome::Incomplete),
            (Phase::Staged, vec![], &old, Outcome::Incomplete),
        ];
        for (phase, entries, running, outcome) in cases {
            assert_eq!(decide(Some(&pending(phase)), &entries, running), outcome, "{running}");
        }
        assert_eq!(decide(None, &[], &old), Outcome::Nothing);
    }
}
