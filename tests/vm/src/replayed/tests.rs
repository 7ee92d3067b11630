//! A sound disk is called sound, and each kind of damage by its name.

use std::fs::File;
use std::os::unix::fs::FileExt;

use installer::layout::minimum_disk;

use super::fixture::{Fixture, SECRET, VERSION, extent, generation};
use super::*;

const RULES: [Rule; 4] = [Rule::Installing, Rule::Running, Rule::Erasing, Rule::Erased];

/// The rules that are content with it.
fn allowed(found: &Found) -> Vec<Rule> {
    RULES.into_iter().filter(|rule| rule.check(found, &[VERSION]).is_ok()).collect()
}

fn damage(path: &Utf8Path, at: u64, length: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&vec![0x5a; length], at).unwrap();
}

fn whole() -> System {
    System::Whole(VERSION.to_owned())
}

#[test]
fn a_blank_disk_starts_nothing() {
    let fixture = Fixture::new();
    let path = fixture.dir.join("disk");
    File::create(&path).unwrap().set_len(minimum_disk()).unwrap();
    let found = fixture.found(&path);
    assert!(matches!(found.system, System::None(_)) && found.state == State::Absent, "{found:?}");
    assert_eq!(allowed(&found), [Rule::Installing, Rule::Erasing, Rule::Erased]);
}

#[test]
fn a_system_without_a_config_is_wanted_only_while_it_is_erased() {
    let fixture = Fixture::new();
    let path = fixture.installed("disk");
    let mut found = fixture.found(&path);
    assert_eq!(found, Found { system: whole(), state: State::Absent });
    assert_eq!(allowed(&found), [Rule::Erasing], "what starts has its config, unless that is being erased");
    assert!(Rule::Erasing.check(&found, &["0.2.0"]).is_err());
    fixture.add_state(&path, &[]);
    found = fixture.found(&path);
    assert_eq!(found.state, State::Blank("empty".to_owned()));
    let state = extent("STATE");
    damage(&path, state.start, 4096);
    assert!(matches!(fixture.found(&path).state, State::Damaged(_)));
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"CORTENVF", state.start + state.length - 512).unwrap();
    assert!(matches!(fixture.found(&path).state, State::Blank(_)), "it is formatted whatever it holds");
}

#[test]
fn a_node_with_its_config_is_what_every_rule_but_one_wants() {
    let fixture = Fixture::new();
    let Some(path) = fixture.configured("disk", &generation(SECRET)) else { return };
    let found = fixture.found(&path);
    assert_eq!(found, Found { system: whole(), state: State::Configured });
    assert_eq!(allowed(&found), [Rule::Installing, Rule::Running, Rule::Erasing]);
    let left: Vec<_> = fixture.dir.read_dir_utf8().unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(left.len(), 2, "a disk and a root image, and no copy of secrets: {left:?}");
}

#[test]
fn one_table_of_two_is_enough() {
    let fixture = Fixture::new();
    let path = fixture.installed("disk");
    damage(&path, 512, 512);
    assert_eq!(fixture.found(&path).system, whole());
    damage(&path, minimum_disk() - 512, 512);
    assert!(matches!(fixture.found(&path).system, System::None(_)));
}

#[test]
fn damage_is_called_by_its_name() {
    let fixture = Fixture::new();
    let disk = fixture.installed("disk");
    let kernel = fixture.place_of(&disk, &fixture.version().kernel_image);
    let loader = fixture.place_of(&disk, &fixture.known.loader);
    let meta = extent("META").start;
    let end_of_root = extent("ROOT-A").start + (4 << 20);
    for (places, length, words) in [
        (vec![kernel + 200_000], 1, "kernel image is damaged"),
        (vec![loader + 80_000], 1, "boot loader is damaged"),
        (vec![extent("ROOT-A").start], 1, "slot is damaged"),
        (vec![end_of_root + 4095], 1, "slot is damaged"),
        (vec![meta, meta + (4 << 20)], 4096, "both copies of META are damaged"),
    ] {
        let file = File::options().read(true).write(true).open(&disk).unwrap();
        let mut before = vec![vec![0; length]; places.len()];
        for (at, bytes) in places.iter().zip(&mut before) {
            file.read_exact_at(bytes, *at).unwrap();
            damage(&disk, *at, length);
        }
        let found = fixture.found(&disk);
        places.iter().zip(&before).for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
        let System::Broken(problem) = &found.system else { panic!("{words}: {found:?}") };
        assert!(problem.contains(words), "{problem}");
        assert!(allowed(&found).is_empty());
    }
    // One copy of META, and what lies behind the image.
    damage(&disk, meta, 4096);
    damage(&disk, end_of_root + 4096, 1);
    assert_eq!(fixture.found(&disk).system, whole());
    damage(&disk, extent("EFI").start, 512);
    assert!(matches!(fixture.found(&disk).system, System::None(_)));
}

#[test]
fn every_entry_must_lead_to_a_whole_version() {
    let mut fixture = Fixture::new();
    let path = fixture.installed("disk");
    fixture.known.versions[0].name = "0.1.1".to_owned();
    let problem = |fixture: &Fixture| match fixture.found(&path).system {
        System::Broken(problem) => problem,
        other => panic!("{other:?}"),
    };
    assert!(problem(&fixture).contains("named after another version"));
    fixture.known.versions[0].name = VERSION.to_owned();
    fixture.known.versions[0].root_hash = "f".repeat(64);
    assert!(problem(&fixture).contains("no slot has its UUID"));
}

#[test]
fn a_name_that_has_no_content_yet_is_no_entry() {
    let mut fixture = Fixture::new();
    fixture.empty = "EFI/Linux/corten-000002-0.2.0+3.efi";
    assert_eq!(fixture.found(&fixture.installed("disk")).system, whole());
}

#[test]
fn a_config_that_is_lost_or_torn_is_found_out() {
    let fixture = Fixture::new();
    let torn = generation(SECRET).replace("abc", "abd");
    for (number, (text, words)) in
        [(torn, "not whole"), (generation("other"), "not the node's config")].into_iter().enumerate()
    {
        let Some(path) = fixture.configured(&format!("disk-{number}"), &text) else { return };
        let State::Damaged(problem) = fixture.found(&path).state else { panic!("{words}") };
        assert!(problem.contains(words), "{problem}");
    }
    let Some(state) = fixture.state(&[]) else { return };
    let path = fixture.installed("disk");
    fixture.add_state(&path, &state);
    let found = fixture.found(&path);
    assert_eq!(found.state, State::Bare);
    assert!(allowed(&found).is_empty());
    // The group descriptors behind the superblock.
    damage(&path, extent("STATE").start + 4096, 4096);
    let State::Damaged(problem) = fixture.found(&path).state else { panic!("a damaged file system") };
    assert!(problem.contains("e2fsck"), "{problem}");
}
