//! The kernel's log as a stream of records, for the API and the log files. The first of ours are in it too: the
//! initramfs, the boot sequence and `modprobe` have no other log.

use std::time::Duration;

use corten_sys::kmsg::{Reader, Record};
use tracing::warn;

const RETRY: Duration = Duration::from_secs(5);

/// Hands every record to `sink`, from the first that it still has, for ever.
pub async fn run(mut sink: impl FnMut(Record)) {
    let mut next = 0;
    loop {
        match Reader::open() {
            Ok(mut reader) => {
                let error = follow(&mut reader, &mut next, &mut sink).await;
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
    format!("[{seconds:5}.{micros:06}] {}: {}", record.level.as_str(), record.message)
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
    use corten_sys::kmsg::Level;

    use super::*;

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
