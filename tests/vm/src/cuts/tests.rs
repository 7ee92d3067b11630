//! The life of a small disk, recorded without a machine, and cut at fifty writes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use camino::Utf8PathBuf;
use corten_meta::Meta;
use installer::device::{Device, Disk, SectorSize};
use installer::layout::minimum_disk;
use installer::table::{self, Partition};

use super::*;
use crate::replayed::fixture::{Fixture, SECRET, VERSION, extent, extents, generation};
use crate::replayed::{Rule, State, System};

/// Flags of the log's format.
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// A disk that writes down what happens to it, as QEMU does.
struct Recorder {
    disk: Disk,
    log: RefCell<File>,
    recording: Recording,
}

impl Recorder {
    fn new(fixture: &Fixture) -> Self {
        let path = |name: &str| -> Utf8PathBuf { fixture.dir.join(name) };
        for name in ["base", "disk", "writes"] {
            File::create(path(name)).unwrap();
        }
        let bytes = minimum_disk();
        File::options().write(true).open(path("disk")).unwrap().set_len(bytes).unwrap();
        let mut log = File::options().append(true).open(path("writes")).unwrap();
        log.write_all(&[0; 512]).unwrap();
        let recording = Recording { base: path("base"), bytes, logs: vec![path("writes")] };
        Self { disk: Disk::open(path("disk"), SectorSize::B512).unwrap(), log: RefCell::new(log), recording }
    }

    fn entry(&self, at: u64, length: u64, flags: u64, data: &[u8]) {
        let words = [at / 512, length / 512, flags, 0];
        let mut head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        head.resize(512, 0);
        self.log.borrow_mut().write_all(&[&head, data].concat()).unwrap();
    }
}

impl Device for Recorder {
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.disk.read_at(bytes, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        // A real disk is written in whole sectors, and the rest of the last one stays.
        let mut data = vec![0; bytes.len().next_multiple_of(512)];
        self.disk.read_at(&mut data, at)?;
        data[..bytes.len()].copy_from_slice(bytes);
        self.entry(at, data.len() as u64, 0, &data);
        self.disk.write_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.entry(0, 0, FLUSH, &[]);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn sector_size(&self) -> SectorSize {
        SectorSize::B512
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.entry(range.start, range.end - range.start, DISCARD, &[]);
        self.disk.zero(range)
    }
}

/// META of a recorded disk.
struct MetaOf<'a>(&'a Recorder);

impl corten_meta::Device for MetaOf<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, extent("META").start + offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        Device::write_at(self.0, bytes, extent("META").start + offset)
    }

    fn sync(&self) -> io::Result<()> {
        Device::sync(self.0)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(extent("META").length)
    }
}

/// STATE with a config, in the order of the node: the table, the mark, the file system, and the mark goes.
fn add_state(disk: &Recorder, state: &[(u64, Vec<u8>)]) {
    table::change(disk, |table| {
        let new = extents().into_iter().filter(|extent| extent.number > 4);
        table.partitions.extend(new.map(|extent| Partition::new(&extent, uuid::Uuid::new_v4())));
        Ok(())
    })
    .unwrap();
    let place = extent("STATE");
    let mark = place.start + place.length - 512;
    disk.write_at(b"CORTENVF", mark).unwrap();
    disk.sync().unwrap();
    for (at, piece) in state {
        disk.write_at(piece, place.start + at).unwrap();
    }
    disk.sync().unwrap();
    disk.write_at(&[0; 512], mark).unwrap();
    disk.sync().unwrap();
}

fn change_meta(disk: &Recorder) {
    for number in 0..20 {
        let mut meta = Meta::default();
        meta.set_json("test.number", &number).unwrap();
        corten_meta::write(&MetaOf(disk), &meta).unwrap();
    }
}

/// In the order of a reset, which has nothing to do with the numbers of the partitions.
fn erase(disk: &Recorder) {
    let state = extent("STATE");
    disk.write_at(b"CORTENVF", state.start + state.length - 512).unwrap();
    disk.sync().unwrap();
    for label in ["STATE", "EPHEMERAL", "EFI", "META", "ROOT-A", "ROOT-B"] {
        let extent = extent(label);
        disk.zero(extent.start..extent.start + extent.length).unwrap();
        disk.sync().unwrap();
    }
    let last = extent("EPHEMERAL");
    for range in [last.start + last.length..disk.size(), 0..extent("EFI").start] {
        disk.zero(range).unwrap();
        disk.sync().unwrap();
    }
}

#[test]
fn fifty_power_cuts_in_a_life_leave_what_the_rules_allow() {
    let fixture = Fixture::new();
    let Some(state) = fixture.state(&[("config/1.yaml", &generation(SECRET))]) else { return };
    let disk = Recorder::new(&fixture);
    let mut diary = Diary::new("install");
    let written = fixture.write(&disk);
    add_state(&disk, &state);
    written.make_bootable(&disk, &mut |_| ControlFlow::Continue(())).unwrap();
    diary.begin("run", &disk.recording).unwrap();
    change_meta(&disk);
    diary.begin("reset", &disk.recording).unwrap();
    erase(&disk);

    let log = Log::open(&disk.recording.logs).unwrap();
    let cuts = choose(&log, &diary.phases(&log), disk.recording.bytes, 50).unwrap();
    assert_eq!(cuts.len(), 50);
    let path = fixture.dir.join("replayed");
    let mut walk = Walk::new(&log, &disk.recording, &path, &fixture.known).unwrap();
    let mut seen = BTreeSet::new();
    for PowerCut { phase, cut } in &cuts {
        let rule = match *phase {
            "install" => Rule::Installing,
            "run" => Rule::Running,
            _ => Rule::Erasing,
        };
        let found = walk.to(*cut).unwrap();
        rule.check(&found, &[VERSION]).unwrap_or_else(|problem| panic!("{phase} {cut:?}: {problem}"));
        let system = match found.system {
            System::None(_) => "none",
            System::Broken(_) => "broken",
            System::Whole(_) => "whole",
        };
        seen.insert((*phase, system, found.state == State::Configured));
    }
    let end = walk.to(Cut::Kept(log.entries().len())).unwrap();
    Rule::Erased.check(&end, &[]).unwrap();
    let wanted = [("install", "none", false), ("run", "whole", true), ("reset", "none", false)];
    assert!(wanted.iter().all(|case| seen.contains(case)), "{seen:?}");
}

/// `w` is a write of two sectors, `s` one of a single sector, `f` a flush.
fn entries(text: &str) -> Vec<Entry> {
    let entry = |kind, bytes| {
        let mut entry = Entry::default();
        (entry.kind, entry.bytes) = (kind, bytes);
        entry
    };
    let of = |letter| match letter {
        'w' => entry(Kind::Write, 1024),
        's' => entry(Kind::Write, 512),
        _ => entry(Kind::Flush, 0),
    };
    text.chars().map(of).collect()
}

#[test]
fn kinds_of_cuts_take_turns_as_far_as_a_replay_can_go() {
    let kinds = |text: &str| -> Vec<Cut> {
        let entries = entries(text);
        let writes = (0..entries.len()).filter(|place| entries[*place].kind == Kind::Write);
        cuts(&entries, &writes.map(|place| ("x", place)).collect::<Vec<_>>())
            .iter()
            .map(|one| one.cut)
            .collect()
    };
    assert_eq!(kinds("wwwfw"), [Cut::Flushed(1), Cut::Torn(1, 1), Cut::Kept(3), Cut::Flushed(5)]);
    // A single sector does not tear, and what was there cannot be lost.
    assert_eq!(kinds("sswww"), [Cut::Flushed(1), Cut::Kept(2), Cut::Kept(3), Cut::Kept(4), Cut::Torn(4, 1)]);
}

#[test]
fn what_is_rare_has_its_share() {
    assert_eq!(shares(&[100, 1, 100], 11), [5, 1, 5]);
    assert_eq!(shares(&[1, 2], 50), [1, 2]);
    assert_eq!(shares(&[], 5), [0; 0]);
    let chosen = spread_over(&[(0..10).collect(), vec![50], (100..1000).collect()], 7);
    assert_eq!(chosen, [2, 5, 9, 50, 399, 699, 999]);
}

#[test]
fn the_place_of_a_write_tells_what_it_changes() {
    let (extents, last) = (extents(), extent("EPHEMERAL"));
    let at = |label: &str| area(&extents, extent(label).start + 5000);
    assert_eq!(["EFI", "META", "STATE", "ROOT-B"].map(at), [Area::Efi, Area::Meta, Area::State, Area::Rest]);
    assert_eq!(area(&extents, 0), Area::Table);
    assert_eq!(area(&extents, last.start + last.length), Area::Table);
}

#[test]
fn phases_follow_each_other_without_a_hole() {
    let fixture = Fixture::new();
    let disk = Recorder::new(&fixture);
    let mut diary = Diary::new("one");
    disk.write_at(&[1; 512], 0).unwrap();
    diary.begin("two", &disk.recording).unwrap();
    diary.begin("three", &disk.recording).unwrap();
    disk.sync().unwrap();
    disk.write_at(&[2; 512], 0).unwrap();
    let phases = diary.phases(&Log::open(&disk.recording.logs).unwrap());
    let ranges: Vec<_> = phases.iter().map(|phase| (phase.name, phase.entries.clone())).collect();
    assert_eq!(ranges, [("one", 0..1), ("two", 1..1), ("three", 1..3)]);
    let mut byte = [0];
    File::open(fixture.dir.join("disk")).unwrap().read_exact_at(&mut byte, 0).unwrap();
    assert_eq!(byte, [2]);
}
