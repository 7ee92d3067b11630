//! The kernel's log as a stream of records, for the API and the log files. The first of ours are in it too: the
//! initramfs, the boot sequence and `modprobe` have no other log.

use std::borrow::Cow;
use std::time::Duration;

use corten_sys::kmsg::{Level, Reader, Record};
use tracing::warn;

const RETRY: Duration = Duration::from_secs(5);
/// The argument of a config that comes by the command line.
const INLINE: &str = "corten.config.inline=";

/// Hands every record to `sink`, from the first that it still has, for ever.
pub async fn run(mut sink: impl FnMut(Record)) {
    let mut next = 0;
    loop {
        match Reader::open() {
            Ok(mut reader) => {
                let mut hiding = |record: Record| {
                    let message = without_secrets(&record.message).into_owned();
                    sink(Record { message, ..record });
                };
                let error = follow(&mut reader, &mut next, &mut hiding).await;
                warn!(%error, "the kernel log stopped");
            }
            Err(error) => warn!(%error, "cannot read the kernel log"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// One line of text: seconds since boot, level, message.
pub fn line(record: &Record) -> String {
    let (seconds, micros) = (record.microseconds / 1_000_000, record.microseconds % 1_000_000);
    format!("[{seconds:5}.{micros:06}] {}: {}", record.level.as_str(), without_secrets(&record.message))
}

/// The kernel logs its command line, and a config there has keys in it.
fn without_secrets(message: &str) -> Cow<'_, str> {
    let Some(begin) = message.find(INLINE).map(|at| at + INLINE.len()) else { return message.into() };
    let (before, value) = message.split_at(begin);
    let after = value.find([' ', '"']).map_or("", |end| &value[end..]);
    format!("{before}(hidden){after}").into()
}

/// The newest lines that fit into `limit` bytes, oldest first, each with its line feed.
pub fn text<R: std::borrow::Borrow<Record>>(records: &[R], limit: usize) -> String {
    let mut size = 0;
    let lines = records.iter().rev().map(|record| line(record.borrow()) + "\n").take_while(|line| {
        size += line.len();
        size <= limit
    });
    let mut lines: Vec<_> = lines.collect();
    lines.reverse();
    lines.concat()
}

/// The messages of a kept log, and then those of pstore that are newer. They are numbered from 0, since the kernel's
/// numbers are not kept.
pub fn parse(kept: &str, pstore: &str) -> Vec<Record> {
    let mut records: Vec<_> = kept.lines().filter_map(parse_line).collect();
    let last = records.last().map_or(0, |record| record.microseconds);
    records.extend(pstore.lines().filter_map(parse_line).filter(|record| record.microseconds > last));
    (0..).zip(&mut records).for_each(|(number, record)| record.sequence = number);
    records
}

/// `[    5.140900] warning: text`, as [`line`] writes it, or `<4>[    5.140900] text`, as pstore does.
fn parse_line(line: &str) -> Option<Record> {
    let (prefix, rest) = line.split_once('[')?;
    let (time, rest) = rest.split_once("] ")?;
    let (seconds, micros) = time.trim().split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let priority = prefix.strip_prefix('<').and_then(|prefix| prefix.strip_suffix('>'));
    let (level, facility, message) = match priority {
        Some(priority) => {
            let priority: u32 = priority.parse().ok()?;
            (Level::from_number(priority & 7), priority >> 3, rest)
        }
        None => {
            let (level, message) = rest.split_once(": ")?;
            (Level::from_name(level)?, 0, message)
        }
    };
    Some(Record {
        level,
        facility: u8::try_from(facility).unwrap_or(u8::MAX),
        sequence: 0,
        microseconds: seconds.saturating_mul(1_000_000).saturating_add(micros.parse().ok()?),
        message: message.to_owned(),
    })
}

/// `next` keeps a record from being told twice when the reader starts again.
async fn follow(reader: &mut Reader, next: &mut u64, sink: &mut impl FnMut(Record)) -> std::io::Error {
    loop {
        match reader.next().await {
            Ok(record) if record.sequence < *next => {}
            Ok(record) => {
                *next = record.sequence + 1;
                sink(record);
            }
            Err(error) => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(microseconds: u64, message: &str) -> Record {
        Record { level: Level::Warning, facility: 0, sequence: 0, microseconds, message: message.into() }
    }

    #[test]
    fn a_kept_log_is_read_back_and_pstore_goes_on_where_it_ends() {
        let kept = text(&[record(1_000_000, "a"), record(2_000_000, "b: c")], 1000);
        let pstore = "<4>[    2.000000] b: c\n<0>[    3.000001] Kernel panic\nnonsense\n";
        let records = parse(&kept, pstore);
        let told: Vec<_> = records.iter().map(|r| (r.sequence, r.microseconds, r.message.as_str())).collect();
        assert_eq!(told, [(0, 1_000_000, "a"), (1, 2_000_000, "b: c"), (2, 3_000_001, "Kernel panic")]);
        assert_eq!((records[0].level, records[2].level), (Level::Warning, Level::Emergency));
    }

    #[test]
    fn of_a_long_log_the_end_is_kept() {
        let records: Vec<_> = (0..100).map(|n| record(n, "x")).collect();
        let kept = text(&records, 100);
        assert!(kept.len() <= 100 && kept.ends_with("[    0.000099] warning: x\n"), "{kept}");
        assert_eq!(parse(&kept, "").len(), 3);
    }

    #[test]
    fn a_config_on_the_command_line_is_not_in_the_log() {
        let kept = text(&[record(1, "Command line: quiet corten.config.inline=c2VjcmV0 panic=10")], 1000);
        assert!(kept.ends_with("quiet corten.config.inline=(hidden) panic=10\n"), "{kept}");
        let cut_off = record(1, "Kernel command line: corten.config.inline=c2VjcmV0");
        assert!(!text(&[cut_off], 1000).contains("c2VjcmV0"));
    }

    #[test]
    fn a_line_has_the_kernels_own_look() {
        let record = Record {
            level: Level::Warning,
            facility: 0,
            sequence: 1,
            microseconds: 5_140_900,
            message: "x".into(),
        };
        assert_eq!(line(&record), "[    5.140900] warning: x");
    }
}
