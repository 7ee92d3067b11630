//! The kernel log: a reader of parsed records, and a writer.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use tokio::io::unix::AsyncFd;

use crate::readiness::{read, readable};

const PATH: &str = "/dev/kmsg";
/// The kernel never makes a longer record (`PRINTK_MESSAGE_MAX`).
const RECORD_MAX: usize = 8192;
/// More records than any kernel's buffer holds.
const SNAPSHOT_MAX: usize = 1 << 17;

/// Severity, as in syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Unusable.
    Emergency,
    /// Act now.
    Alert,
    /// Critical.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// Normal, but worth knowing.
    Notice,
    /// Information.
    Info,
    /// For developers.
    Debug,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How bad.
    pub level: Level,
    /// Syslog facility; 0 is the kernel itself.
    pub facility: u8,
    /// Number, without gaps unless records were lost.
    pub sequence: u64,
    /// Microseconds since boot.
    pub microseconds: u64,
    /// The text, without its dictionary.
    pub message: String,
}

/// Reads records in order.
#[derive(Debug)]
pub struct Reader(AsyncFd<OwnedFd>);

impl Reader {
    /// Starts at the oldest record that the kernel still has. It must be called within a tokio runtime.
    pub fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(PATH)?;
        Ok(Self(readable(file.into())?))
    }

    /// The next record. Records that the kernel overwrote meanwhile are skipped; the gap in `sequence` shows it.
    pub async fn next(&mut self) -> io::Result<Record> {
        loop {
            let mut guard = self.0.readable().await?;
            let mut buffer = [0_u8; RECORD_MAX];
            match guard.try_io(|fd| read(fd, &mut buffer)) {
                Ok(Ok(length)) => {
                    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                    if let Some(record) = Record::parse(&text) {
                        return Ok(record);
                    }
                }
                Ok(Err(e)) if matches!(e.raw_os_error(), Some(libc::EPIPE | libc::EINTR)) => {}
                Ok(Err(e)) => return Err(e),
                Err(_would_block) => {}
            }
        }
    }
}

/// Everything that the kernel's log holds now, oldest first, without waiting for more.
pub fn snapshot() -> io::Result<Vec<Record>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(PATH)?;
    let mut records = Vec::new();
    let mut buffer = [0_u8; RECORD_MAX];
    // Bounded: a kernel that writes faster than we read must not keep us here.
    while records.len() < SNAPSHOT_MAX {
        match rustix::io::read(&file, &mut buffer) {
            Ok(length) => {
                let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                records.extend(Record::parse(&text));
            }
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(records)
}

impl Record {
    /// `6,339,5140900,-;NET: Registered protocol family 10`, then lines of a dictionary that begin with a space.
    fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once(';')?;
        let mut fields = prefix.split(',');
        let priority: u32 = fields.next()?.parse().ok()?;
        let message = rest.split('\n').next().unwrap_or_default();
        Some(Self {
            level: Level::from_number(priority & 7),
            facility: u8::try_from(priority >> 3).unwrap_or(u8::MAX),
            sequence: fields.next()?.parse().ok()?,
            microseconds: fields.next()?.parse().ok()?,
            message: unescape(message),
        })
    }
}

impl Level {
    /// Name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The reverse of [`Level::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        (0..8).map(Self::from_number).find(|level| level.as_str() == name)
    }

    /// From syslog's number; everything above 6 is for developers.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Emergency,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// Writes one message into the kernel log, which also shows it on the console if its level is high enough.
pub fn write(level: Level, message: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(PATH)?;
    // Facility 3 is "daemon"; one write is one record, and a newline would start another line on the console.
    let priority = (3 << 3) | level as u8;
    let text = format!("<{priority}>{}", message.replace('\n', " "));
    let end = text.floor_char_boundary(900);
    file.write_all(text.get(..end).unwrap_or_default().as_bytes())
}

/// Lets `/dev/kmsg` take messages from user space without limit: by default it drops bursts.
pub fn unlimited() -> io::Result<()> {
    const SETTING: &str = "/proc/sys/kernel/printk_devkmsg";
    // Set on the command line, it cannot be set again, not even to the same value.
    if std::fs::read_to_string(SETTING)?.trim() == "on" {
        return Ok(());
    }
    std::fs::write(SETTING, "on\n")
}

/// Unprintable bytes are written as `\x1b`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.extend(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_loses_its_dictionary_and_keeps_its_text() {
        let record =
            Record::parse("28,339,5140900,-;eth0: up; \\xc3\\xa9\\xZZ\n SUBSYSTEM=net\n DEVICE=n2\n")
                .unwrap();
        assert_eq!(record.level, Level::Warning);
        assert_eq!((record.facility, record.sequence, record.microseconds), (3, 339, 5_140_900));
        assert_eq!(record.message, "eth0: up; é\\xZZ");
    }

    #[test]
    fn nonsense_is_no_record() {
        for text in ["", "6,1,2", "x,1,2;text", "6,,2;text"] {
            assert_eq!(Record::parse(text), None, "{text:?}");
        }
    }
}
