//! Two copies under power cuts, flipped bits and bad sectors.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::testing::{SECTOR, SimulatedDisk};

fn disk() -> SimulatedDisk {
    SimulatedDisk::new(PARTITION_SIZE)
}

fn meta(value: &[u8]) -> Meta {
    let mut meta = Meta::default();
    meta.set("test.value", value.to_vec()).unwrap();
    meta
}

/// A disk on which these were written, one after the other.
fn written(metas: &[Meta]) -> SimulatedDisk {
    let disk = disk();
    for meta in metas {
        write(&disk, meta).unwrap();
    }
    disk
}

/// Bytes of the frame that holds this map.
fn frame_len(meta: &Meta) -> u64 {
    (frame::HEADER_LEN + meta.encode().unwrap().len()) as u64
}

fn put_newer(disk: &SimulatedDisk, offset: u64) {
    let mut bytes = frame::encode(MAGIC, 99, b"");
    bytes[8] = 2;
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes[..32]);
    bytes[32..64].copy_from_slice(&digest);
    disk.write_at(&bytes, offset).unwrap();
}

#[test]
fn a_blank_partition_is_an_empty_map() {
    assert!(read(&disk()).unwrap().is_empty());
}

#[test]
fn what_was_written_last_is_read() {
    let disk = disk();
    for value in 0..5u8 {
        write(&disk, &meta(&[value])).unwrap();
        assert_eq!(read(&disk).unwrap(), meta(&[value]));
    }
}

#[test]
fn two_damaged_copies_are_an_error_that_names_both_reasons() {
    let disk = written(&[meta(b"x")]);
    disk.flip_bit(70, 3);
    disk.flip_bit(COPIES_AT[1], 0);
    let error = read(&disk).unwrap_err().to_string();
    assert_eq!(
        error,
        "both copies of META are damaged; copy A: its checksum does not match; \
         copy B: something that is not ours is in its place"
    );
    write(&disk, &meta(b"anew")).unwrap();
    assert_eq!(read(&disk).unwrap(), meta(b"anew"));
}

#[test]
fn a_newer_format_is_read_around_and_never_written_over() {
    let disk = written(&[meta(b"x")]);
    put_newer(&disk, COPIES_AT[1]);
    assert_eq!(read(&disk).unwrap(), meta(b"x"));
    let before = disk.event_count();
    let error = write(&disk, &meta(b"y")).unwrap_err();
    assert!(matches!(error, MetaError::NewerFormat { found: 2, known: 1 }), "{error}");
    assert_eq!(disk.event_count(), before);
}

#[test]
fn a_newer_format_alone_is_an_error_that_says_so() {
    let disk = disk();
    put_newer(&disk, COPIES_AT[0]);
    let error = read(&disk).unwrap_err().to_string();
    assert_eq!(
        error,
        "META was written in format 2, and this version knows formats up to 1; it is left as it is"
    );
}

#[test]
fn too_much_is_refused_and_what_was_there_stays() {
    let disk = written(&[meta(b"x")]);
    let error = write(&disk, &meta(&vec![1; 4 << 20])).unwrap_err();
    assert!(matches!(error, MetaError::TooLarge { .. }), "{error}");
    assert_eq!(read(&disk).unwrap(), meta(b"x"));
}

#[test]
fn a_partition_that_is_too_small_is_refused() {
    let disk = SimulatedDisk::new(PARTITION_SIZE - 1);
    assert!(matches!(read(&disk), Err(MetaError::TooSmall { .. })));
    assert!(matches!(write(&disk, &meta(b"x")), Err(MetaError::TooSmall { .. })));
}

#[test]
fn a_bad_sector_under_one_copy_leaves_the_other() {
    for copy in COPIES_AT {
        let disk = written(&[meta(b"x")]);
        disk.break_sectors(copy..copy + 1);
        assert_eq!(read(&disk).unwrap(), meta(b"x"));
    }
}

#[test]
fn after_formatting_nothing_is_found() {
    let disk = written(&[meta(b"x"), meta(b"y")]);
    format(&disk).unwrap();
    assert!(read(&disk).unwrap().is_empty());
}

#[test]
fn the_newer_copy_cut_at_any_length_leaves_the_older() {
    let (old, new) = (meta(&[1; 700]), meta(&[2; 700]));
    let whole = written(&[meta(b"first"), old.clone(), new.clone()]);
    for copy in COPIES_AT {
        for len in 0..frame_len(&new) {
            let disk = whole.snapshot();
            disk.blank(copy + len..copy + 2048);
            let found = read(&disk).unwrap();
            assert!(found == old || found == new, "cut at {len}");
        }
    }
}

#[test]
fn a_write_that_lost_any_one_sector_leaves_old_or_new() {
    let (old, new) = (meta(&[1; 3000]), meta(&[2; 3000]));
    let disk = written(&[old.clone(), new.clone()]);
    let last_write = disk.event_count() - 1;
    for lost in 0..frame_len(&new).div_ceil(SECTOR as u64) {
        let after =
            disk.after_power_cut(last_write, |_, sector| sector % (COPY_SIZE / SECTOR as u64) != lost);
        assert_eq!(read(&after).unwrap(), old);
    }
    assert_eq!(read(&disk.after_power_cut(last_write, |_, _| true)).unwrap(), new);
}

fn metas() -> impl Strategy<Value = Vec<Meta>> {
    let value = vec(any::<u8>(), 0..2000);
    let one = btree_map("[a-z0-9./-]{1,20}", value, 0..5).prop_map(|entries| {
        let mut meta = Meta::default();
        for (key, value) in entries {
            meta.set(&key, value).unwrap();
        }
        meta
    });
    vec(one, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_power_cut_at_any_write_leaves_old_or_new(metas in metas(), seed: u64) {
        let disk = disk();
        let mut allowed = vec![Meta::default()];
        let mut seen = 0;
        for meta in &metas {
            write(&disk, meta).unwrap();
            allowed.push(meta.clone());
            let (old, new) = (&allowed[allowed.len() - 2], &allowed[allowed.len() - 1]);
            for cut in seen..=disk.event_count() {
                let torn = disk.after_power_cut(cut, |event, sector| {
                    let mix = seed ^ (event as u64) << 32 ^ sector;
                    mix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
                });
                let found = read(&torn).unwrap();
                prop_assert!(&found == old || &found == new, "cut after {} events", cut);
                // The node that comes back can write again, whatever the cut left.
                write(&torn, new).unwrap();
                prop_assert_eq!(&read(&torn).unwrap(), new);
            }
            seen = disk.event_count();
            prop_assert_eq!(&read(&disk.after_power_cut(seen, |_, _| false)).unwrap(), new);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_leaves_old_or_new(
        metas in metas(), copy in 0..2usize, at: prop::sample::Index, bit in 0u32..8
    ) {
        let disk = written(&metas);
        disk.flip_bit(COPIES_AT[copy] + at.index(4096) as u64, bit);
        let found = read(&disk).unwrap();
        // The first write fills both copies, so there never is an empty map again.
        prop_assert!(metas.iter().rev().take(2).any(|meta| *meta == found));
    }

    #[test]
    fn keys_of_another_version_survive_a_change(metas in metas(), value: Vec<u8>) {
        let disk = written(&metas);
        let mut changed = read(&disk).unwrap();
        changed.set("ours", value.clone()).unwrap();
        write(&disk, &changed).unwrap();
        let found = read(&disk).unwrap();
        for key in metas[metas.len() - 1].keys().filter(|key| *key != "ours") {
            prop_assert_eq!(found.get(key), metas[metas.len() - 1].get(key));
        }
        prop_assert_eq!(found.get("ours"), Some(value.as_slice()));
    }
}
