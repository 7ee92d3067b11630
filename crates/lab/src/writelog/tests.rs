//! Logs written by hand, and one written by QEMU: each cut gives the disk that it should.

use super::format::{MAGIC, SECTOR, VERSION, flags};
use super::*;
use crate::image::run;
use std::fs;
use std::process::Command;

/// A log that is written by hand.
#[derive(Default)]
struct Written {
    body: Vec<u8>,
    count: u64,
}

impl Written {
    fn entry(&mut self, sector: u64, count: u64, flags: u64, data: &[u8]) {
        let words = [sector, count, flags, 0];
        let mut head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        head.resize(512, 0);
        self.body.extend(head);
        self.body.extend(data);
        self.count += 1;
    }

    fn write(&mut self, sector: u64, byte: u8) {
        self.entry(sector, 1, 0, &[byte; 512]);
    }

    fn flush(&mut self) {
        self.entry(0, 0, flags::FLUSH, &[]);
    }

    fn save(&self, path: &Utf8Path, count: Option<u64>) {
        let mut bytes = vec![0; 512];
        if let Some(count) = count {
            bytes.clear();
            for word in [MAGIC, VERSION, count, SECTOR] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.resize(512, 0);
        }
        bytes.extend(&self.body);
        fs::write(path, bytes).unwrap();
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    dir: Utf8PathBuf,
    recording: Recording,
}

/// A disk of 8 sectors, the base of which is half as long and full of 9s.
fn bench(logs: &[&Written]) -> Bench {
    let temp = tempfile::tempdir().unwrap();
    let dir = Utf8PathBuf::from_path_buf(temp.path().to_owned()).unwrap();
    let base = dir.join("base");
    fs::write(&base, [9; 2048]).unwrap();
    let path = |number: usize| dir.join(format!("log-{number}"));
    for (number, log) in logs.iter().enumerate() {
        log.save(&path(number), Some(log.count));
    }
    let logs = (0..logs.len()).map(path).collect();
    Bench { _dir: temp, recording: Recording { base, bytes: 4096, logs }, dir }
}

impl Bench {
    fn log(&self) -> Log {
        Log::open(&self.recording.logs).unwrap()
    }

    /// The first byte of each sector.
    fn disk(&self, cut: Cut) -> Vec<u8> {
        let out = self.dir.join("out");
        self.log().replay(&self.recording, cut, &out).unwrap();
        sectors(&out)
    }
}

fn sectors(path: &Utf8Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len(), 4096);
    bytes.chunks(512).map(|sector| sector[0]).collect()
}

fn two_writes_flush_two_writes() -> Written {
    let mut log = Written::default();
    log.write(0, 1);
    log.write(5, 2);
    log.flush();
    log.write(0, 3);
    log.write(1, 4);
    log
}

#[test]
fn a_cut_keeps_every_write_before_it() {
    let bench = bench(&[&two_writes_flush_two_writes()]);
    assert_eq!(bench.disk(Cut::Kept(0)), [9, 9, 9, 9, 0, 0, 0, 0]);
    assert_eq!(bench.disk(Cut::Kept(2)), [1, 9, 9, 9, 0, 2, 0, 0]);
    assert_eq!(bench.disk(Cut::Kept(5)), [3, 4, 9, 9, 0, 2, 0, 0]);
}

#[test]
fn what_was_not_flushed_is_lost() {
    let bench = bench(&[&two_writes_flush_two_writes()]);
    assert_eq!(bench.disk(Cut::Flushed(2)), [9, 9, 9, 9, 0, 0, 0, 0]);
    assert_eq!(bench.disk(Cut::Flushed(3)), [1, 9, 9, 9, 0, 2, 0, 0]);
    assert_eq!(bench.disk(Cut::Flushed(5)), [1, 9, 9, 9, 0, 2, 0, 0]);
}

#[test]
fn a_forced_write_survives_without_a_flush() {
    let mut log = two_writes_flush_two_writes();
    log.entry(7, 1, flags::FUA, &[5; 512]);
    assert_eq!(bench(&[&log]).disk(Cut::Flushed(6)), [1, 9, 9, 9, 0, 2, 0, 5]);
}

#[test]
fn a_flush_in_a_write_does_not_cover_the_write() {
    let mut log = Written::default();
    log.write(0, 1);
    log.entry(1, 1, flags::FLUSH, &[2; 512]);
    let bench = bench(&[&log]);
    assert_eq!(bench.disk(Cut::Flushed(2))[..2], [1, 9]);
    assert_eq!(bench.log().flush_points(), [1]);
}

#[test]
fn a_torn_write_has_its_first_sectors() {
    let mut log = Written::default();
    log.write(0, 1);
    log.entry(1, 3, 0, &[2; 1536]);
    let bench = bench(&[&log]);
    assert_eq!(bench.disk(Cut::Torn(1, 2))[..4], [1, 2, 2, 9]);
    let beyond = bench.log().replay(&bench.recording, Cut::Torn(2, 1), &bench.dir.join("out"));
    assert!(beyond.unwrap_err().to_string().contains("no write at 2"));
}

#[test]
fn a_discard_and_zeros_make_holes() {
    let mut log = Written::default();
    log.entry(0, 2, flags::DISCARD, &[]);
    log.entry(3, 1, 0, &[0; 512]);
    assert_eq!(bench(&[&log]).disk(Cut::Kept(2))[..4], [0, 0, 9, 0]);
}

#[test]
fn a_power_on_in_between_keeps_everything() {
    let mut second = Written::default();
    second.write(2, 7);
    let bench = bench(&[&two_writes_flush_two_writes(), &second]);
    assert_eq!(bench.log().entries()[5].kind, Kind::PowerOn);
    assert_eq!(bench.disk(Cut::Flushed(7)), [3, 4, 9, 9, 0, 2, 0, 0]);
    assert_eq!(bench.disk(Cut::Kept(7)), [3, 4, 7, 9, 0, 2, 0, 0]);
}

#[test]
fn a_replay_goes_forward_and_not_back() {
    let bench = bench(&[&two_writes_flush_two_writes()]);
    let (log, out) = (bench.log(), bench.dir.join("moving"));
    let mut replay = Replay::new(&log, &bench.recording, &out).unwrap();
    replay.to(Cut::Flushed(2)).unwrap();
    replay.to(Cut::Kept(1)).unwrap();
    assert_eq!(sectors(&out)[0], 1);
    replay.to(Cut::Flushed(5)).unwrap();
    assert_eq!(sectors(&out), [1, 9, 9, 9, 0, 2, 0, 0]);
    assert!(replay.to(Cut::Kept(1)).is_err());
    assert!(replay.to(Cut::Kept(6)).unwrap_err().to_string().contains("no entry 6 of 5"));
}

#[test]
fn what_is_there_in_parts_must_be_there_entirely_next() {
    let mut log = two_writes_flush_two_writes();
    log.entry(5, 1, flags::FUA, &[5; 512]);
    log.entry(6, 2, 0, &[6; 1024]);
    let bench = bench(&[&log]);
    let (log, out) = (bench.log(), bench.dir.join("moving"));
    let mut replay = Replay::new(&log, &bench.recording, &out).unwrap();
    replay.to(Cut::Flushed(6)).unwrap();
    // The forced write is there, and was not before it happened.
    assert!(replay.to(Cut::Kept(5)).is_err());
    replay.to(Cut::Torn(6, 1)).unwrap();
    assert_eq!(sectors(&out), [3, 4, 9, 9, 0, 5, 6, 0]);
    assert!(replay.to(Cut::Kept(6)).is_err());
    replay.to(Cut::Kept(7)).unwrap();
    assert_eq!(sectors(&out)[7], 6);
}

#[test]
fn a_moment_is_found_again_in_the_entries() {
    let (mut first, mut second) = (two_writes_flush_two_writes(), Written::default());
    first.flush();
    second.write(2, 7);
    let bench = bench(&[&first, &second]);
    let early = Recording { logs: bench.recording.logs[..1].to_vec(), ..bench.recording.clone() };
    assert_eq!(bench.log().entries_at(Moment::default()), 0);
    // The first log, and the power-on after it.
    assert_eq!(bench.log().entries_at(early.moment().unwrap()), 7);
    assert_eq!(bench.log().entries_at(bench.recording.moment().unwrap()), 8);
    let none = Recording { logs: Vec::new(), ..early };
    assert_eq!(none.moment().unwrap(), Moment::default());
    // A flush takes a sector, a write one more: the superblock, and two writes.
    assert_eq!(bench.log().entries_at(Moment { log: 0, bytes: 5 * 512 }), 2);
}

#[test]
fn a_log_is_read_beyond_what_the_last_flush_counted() {
    let bench = bench(&[&two_writes_flush_two_writes()]);
    let path = &bench.recording.logs[0];
    for count in [None, Some(3)] {
        two_writes_flush_two_writes().save(path, count);
        assert_eq!(bench.log().entries().len(), 5);
    }
    // The last write did not reach the log entirely.
    let length = fs::metadata(path).unwrap().len();
    fs::File::options().write(true).open(path).unwrap().set_len(length - 1).unwrap();
    assert_eq!(bench.log().entries().len(), 4);
    two_writes_flush_two_writes().save(path, Some(6));
    assert!(Log::open(&bench.recording.logs).is_err());
    fs::write(path, [1; 1024]).unwrap();
    assert!(Log::open(&bench.recording.logs).is_err());
    fs::write(path, []).unwrap();
    assert!(bench.log().entries().is_empty());
}

#[test]
fn cuts_are_spread_over_the_writes_up_to_the_last_one() {
    let log = bench(&[&two_writes_flush_two_writes()]).log();
    assert_eq!(log.writes(), [0, 1, 3, 4]);
    assert_eq!(log.spread(2), [2, 5]);
    assert_eq!(log.spread(50), [1, 2, 4, 5]);
}

#[test]
fn qemu_writes_logs_that_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(temp.path()).unwrap();
    let recording = Recording { base: dir.join("base"), bytes: 1 << 20, logs: vec![dir.join("log")] };
    for path in [&recording.base, &dir.join("disk"), &recording.logs[0]] {
        fs::write(path, []).unwrap();
    }
    fs::File::options().write(true).open(dir.join("disk")).unwrap().set_len(1 << 20).unwrap();
    let image = format!(
        "driver=blklogwrites,log-sector-size=512,file.driver=raw,file.file.driver=file,file.file.filename={},\
         log.driver=raw,log.file.driver=file,log.file.filename={}",
        dir.join("disk"),
        recording.logs[0],
    );
    let mut command = Command::new("qemu-io");
    // Otherwise it flushes after every write.
    command.args(["-t", "writeback", "--image-opts", &image]);
    for order in ["write -P 7 0 4k", "flush", "write -z 512 512", "discard 1k 1k", "write -P 8 64k 512"] {
        command.args(["-c", order]);
    }
    // No flush when it ends: as when it is killed.
    command.args(["-c", "abort"]);
    if run("qemu-io", "qemu-utils", Command::new("qemu-io").arg("--version")).is_err() {
        eprintln!("skipped: qemu-utils is not installed");
        return;
    }
    let _ = run("qemu-io", "qemu-utils", &mut command);
    let log = Log::open(&recording.logs).unwrap();
    let kinds: Vec<_> =
        log.entries().iter().map(|entry| entry.kind).filter(|kind| *kind != Kind::Flush).collect();
    assert_eq!(kinds, [Kind::Write, Kind::Write, Kind::Discard, Kind::Write], "{:?}", log.entries());
    let bytes = |cut| {
        log.replay(&recording, cut, &dir.join("out")).unwrap();
        fs::read(dir.join("out")).unwrap()
    };
    let flushed = bytes(Cut::Flushed(log.entries().len()));
    assert!(flushed[..4096].iter().all(|byte| *byte == 7) && flushed[65_536] == 0);
    let kept = bytes(Cut::Kept(log.entries().len()));
    assert_eq!((kept[0], kept[600], kept[1100], kept[2100], kept[65_536]), (7, 0, 0, 7, 8));
    assert_eq!(kept, fs::read(dir.join("disk")).unwrap());
}
