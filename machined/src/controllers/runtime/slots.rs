//! The versions of the two slots and how an update goes, in sentences for the console: it is what can be read without a
//! network.

use corten_resources::runtime::MACHINE;
use corten_resources::update::{GatePhase, SlotStatus, UpdateStatus};
use corten_store::Store;

/// A sentence for each slot that holds a version, and one for a trial that waits.
pub(super) fn sentences(store: &Store) -> Vec<String> {
    let slots = store.list::<SlotStatus>();
    let with_version = slots.iter().filter(|slot| !slot.spec.version.is_empty());
    let mut all: Vec<_> = with_version.map(|slot| sentence(&slot.metadata.id, &slot.spec)).collect();
    // What it still lacks is told as what the node waits for.
    if store.get::<UpdateStatus>(MACHINE).is_some_and(|update| update.spec.phase == GatePhase::Waiting) {
        all.push("this version is on trial: it stays when the node is healthy in time".to_owned());
    }
    all
}

fn sentence(label: &str, slot: &SlotStatus) -> String {
    let mut words = vec![format!("slot {label}: version {}", slot.version)];
    words.extend(slot.running.then(|| "runs".to_owned()));
    words.extend((slot.next && !slot.running).then(|| "boots next".to_owned()));
    words.push(match (slot.refused.as_str(), slot.blessed) {
        ("", true) => "stays".to_owned(),
        ("", false) => format!("{} tries left", slot.tries_left),
        (reason, _) => format!("refused: {reason}"),
    });
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(slot: SlotStatus, expect: &str) {
        assert_eq!(sentence("ROOT-A", &SlotStatus { version: "0.1.0".into(), ..slot }), expect);
    }

    #[test]
    fn a_slot_says_what_becomes_of_it() {
        let slot = SlotStatus::default;
        check(
            SlotStatus { running: true, next: true, blessed: true, ..slot() },
            "slot ROOT-A: version 0.1.0, runs, stays",
        );
        check(
            SlotStatus { next: true, tries_left: 3, ..slot() },
            "slot ROOT-A: version 0.1.0, boots next, 3 tries left",
        );
        check(
            SlotStatus { refused: "health gate: etcd".into(), ..slot() },
            "slot ROOT-A: version 0.1.0, refused: health gate: etcd",
        );
    }

    #[test]
    fn an_empty_slot_is_passed_over_and_a_trial_is_told() {
        let store = Store::new();
        store.put::<SlotStatus>("test", "ROOT-B", SlotStatus::default()).unwrap();
        assert!(sentences(&store).is_empty());
        let waiting = UpdateStatus {
            phase: GatePhase::Waiting,
            message: "api: no address".into(),
            ..UpdateStatus::default()
        };
        store.put::<UpdateStatus>("test", MACHINE, waiting).unwrap();
        assert!(sentences(&store)[0].contains("on trial"));
    }
}
