//! Records of newer versions in the hands of this one.

use std::fmt::Debug;

use serde_json::json;

use super::*;

/// A record of a newer version: read by this one, written back, nothing lost.
fn survives<R: Record + Debug>(newer: Value) {
    let mut meta = Meta::default();
    meta.set_json(R::KEY, &newer).unwrap();
    let record = meta.record::<R>().unwrap().unwrap();
    meta.set_record(&record).unwrap();
    let written: Value = meta.get_json(R::KEY).unwrap().unwrap();
    assert_eq!(merged(written.clone(), newer), written, "{record:?}");
}

/// The newer value laid over the written one: changes nothing when nothing was lost.
fn merged(mut written: Value, newer: Value) -> Value {
    match (&mut written, newer) {
        (Value::Object(written), Value::Object(newer)) => {
            for (key, value) in newer {
                let before = written.remove(&key).unwrap_or_default();
                written.insert(key, merged(before, value));
            }
        }
        (Value::Array(written), Value::Array(newer)) if written.len() == newer.len() => {
            for (written, newer) in written.iter_mut().zip(newer) {
                *written = merged(written.take(), newer);
            }
        }
        (written, newer) => *written = newer,
    }
    written
}

#[test]
fn fields_of_a_newer_version_survive_in_every_record() {
    survives::<PendingUpdate>(json!({"version": "1.2.0", "phase": "staged", "soak": {"seconds": 5}}));
    survives::<Denylist>(json!([{"version": "1.2.0", "reason": "panic", "ticket": [1, 2]}]));
    survives::<FailedUpdate>(json!({"version": "1.2.0", "tries": 3, "culprit": "kubelet"}));
    survives::<LastReset>(json!({"volumes": ["STATE"], "operator": "ann"}));
}

#[test]
fn a_phase_of_a_newer_version_survives() {
    survives::<PendingUpdate>(json!({"phase": "quarantine"}));
    let phase: Phase = serde_json::from_value(json!("quarantine")).unwrap();
    assert_eq!(phase, Phase::Other("quarantine".to_owned()));
}

#[test]
fn every_phase_has_one_name() {
    for phase in [Phase::Writing, Phase::Written, Phase::Staged, Phase::Trial] {
        assert_eq!(serde_json::to_value(&phase).unwrap(), json!(phase.as_str()));
        assert_eq!(serde_json::from_value::<Phase>(json!(phase.as_str())).unwrap(), phase);
    }
}

#[test]
fn a_record_without_fields_has_their_defaults() {
    let mut meta = Meta::default();
    meta.set_json(PendingUpdate::KEY, &json!({})).unwrap();
    assert_eq!(meta.record().unwrap(), Some(PendingUpdate::default()));
    assert!(meta.remove_record::<PendingUpdate>());
    assert_eq!(meta.record::<PendingUpdate>().unwrap(), None);
}

#[test]
fn an_image_is_denied_once_and_allowed_by_version() {
    let denied = |version: &str, root_hash: &str, reason: &str| Denied {
        version: version.to_owned(),
        root_hash: root_hash.to_owned(),
        reason: reason.to_owned(),
        ..Denied::default()
    };
    let mut list = Denylist::default();
    list.deny(denied("1.1.0", "aa", "panic"));
    list.deny(denied("1.2.0", "bb", "panic"));
    list.deny(denied("1.1.0", "AA", "hang"));
    assert_eq!(list.0.len(), 2);
    assert_eq!(list.find("aa").unwrap().reason, "hang");
    assert!(list.allow("1.1.0"));
    assert!(!list.allow("1.1.0"));
    assert_eq!(list.find("aa"), None);
    assert!(list.find("bb").is_some());
}
