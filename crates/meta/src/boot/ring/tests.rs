//! The ring over many boots, and under power cuts.

use proptest::prelude::*;

use super::*;
use crate::layout::PARTITION_SIZE;
use crate::testing::SimulatedDisk;

fn disk() -> SimulatedDisk {
    SimulatedDisk::new(PARTITION_SIZE)
}

fn boot(stage: &str) -> BootRecord {
    BootRecord { stage: stage.to_owned(), ..BootRecord::default() }
}

fn sequences(ring: &Ring<&SimulatedDisk>) -> Vec<u64> {
    ring.list().records.iter().map(|record| record.sequence).collect()
}

#[test]
fn the_last_eight_boots_are_remembered_newest_first() {
    let disk = disk();
    let ring = Ring::new(&disk);
    assert_eq!(ring.previous(0), None);
    for sequence in 1..=11 {
        let mut record = boot("booting");
        assert_eq!(ring.begin(&mut record).unwrap().sequence(), sequence);
        assert_eq!(record.sequence, sequence);
    }
    assert_eq!(sequences(&ring), [11, 10, 9, 8, 7, 6, 5, 4]);
    assert_eq!(ring.previous(0).unwrap().sequence, 11);
    assert_eq!(ring.previous(1).unwrap().sequence, 10);
    assert_eq!(ring.previous(8), None);
    assert!(ring.list().damaged.is_empty());
}

#[test]
fn a_refresh_replaces_what_was_stored() {
    let disk = disk();
    let ring = Ring::new(&disk);
    let mut record = boot("booting");
    let mut slot = ring.begin(&mut record).unwrap();
    for stage in ["one", "two", "three"] {
        record.stage = stage.to_owned();
        ring.store(&mut slot, &record).unwrap();
        assert_eq!(ring.previous(0).unwrap().stage, stage);
    }
    assert_eq!(sequences(&ring), [1]);
}

#[test]
fn what_is_learnt_later_is_added_to_an_older_boot() {
    let disk = disk();
    let ring = Ring::new(&disk);
    ring.begin(&mut boot("trial")).unwrap();
    ring.begin(&mut boot("running")).unwrap();
    assert!(ring.amend(1, |record| record.pstore = "Oops".to_owned()).unwrap());
    assert!(!ring.amend(77, |_| ()).unwrap());
    let older = ring.previous(1).unwrap();
    assert_eq!((older.stage.as_str(), older.pstore.as_str()), ("trial", "Oops"));
    assert_eq!(sequences(&ring), [2, 1]);
}

#[test]
fn a_damaged_record_is_passed_over_with_a_reason() {
    let disk = disk();
    let ring = Ring::new(&disk);
    for _ in 0..3 {
        ring.begin(&mut boot("running")).unwrap();
    }
    disk.flip_bit(half_at(2, 0) + 80, 1);
    disk.break_sectors(half_at(5, 0)..half_at(6, 0));
    assert_eq!(sequences(&ring), [3, 1]);
    let damaged: Vec<_> =
        ring.list().damaged.iter().map(|slot| (slot.index, slot.reason.to_string())).collect();
    let expected =
        [(2, "its checksum does not match".to_owned()), (5, "it cannot be read: a bad sector".to_owned())];
    assert_eq!(damaged, expected);
    // The next boot does not mind.
    assert_eq!(ring.begin(&mut boot("running")).unwrap().sequence(), 4);
}

#[test]
fn a_record_that_does_not_fit_loses_its_oldest_lines() {
    let disk = disk();
    let ring = Ring::new(&disk);
    let line = "[    1.000000] a \"line\" of the kernel\u{1b}[0m\n";
    let mut record = boot("running");
    record.kernel_log = line.repeat(30_000) + "the last line";
    record.pstore = "short".to_owned();
    ring.begin(&mut record).unwrap();
    let stored = ring.previous(0).unwrap();
    assert!(stored.kernel_log.ends_with("the last line"));
    assert!(stored.kernel_log.starts_with(line));
    assert!(stored.kernel_log.len() > 300_000, "{}", stored.kernel_log.len());
    assert_eq!(stored.pstore, "short");
}

#[test]
fn a_record_that_is_too_large_without_its_logs_is_refused() {
    let disk = disk();
    let error = Ring::new(&disk).begin(&mut boot(&"x".repeat(600_000))).unwrap_err();
    assert!(matches!(error, RingError::TooLarge { .. }), "{error}");
    assert_eq!(disk.event_count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_power_cut_at_any_write_leaves_old_or_new(
        boots in prop::collection::vec(0..4usize, 1..12), seed: u64
    ) {
        let disk = disk();
        let ring = Ring::new(&disk);
        let mut stored = Vec::new();
        for refreshes in boots {
            let mut record = boot("0");
            record.kernel_log = "line\n".repeat(300);
            let mut slot = ring.begin(&mut record).unwrap();
            stored.push(ring.list().records);
            for stage in 0..refreshes {
                record.stage = stage.to_string();
                // Every sector changes: a torn write must not pass because only the first one did.
                record.kernel_log = format!("line {stage}\n").repeat(300);
                record.updated_unix_ms += 1;
                ring.store(&mut slot, &record).unwrap();
                stored.push(ring.list().records);
            }
        }
        // Each store is a write and a flush.
        for cut in 0..=disk.event_count() {
            let torn = disk.after_power_cut(cut, |event, sector| {
                let mix = seed ^ (event as u64) << 32 ^ sector;
                mix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
            });
            let found = Ring::new(&torn).list();
            let state = |count: usize| count.checked_sub(1).map_or(&[][..], |at| &stored[at]);
            let (old, new) = (state(cut / 2), state(cut.div_ceil(2)));
            prop_assert!(found.records == old || found.records == new, "cut after {} events", cut);
        }
    }
}
