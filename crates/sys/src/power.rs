//! The power button: an input device with `KEY_POWER`.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::unix::AsyncFd;

use crate::readiness::{read, readable};

const SYS_INPUT: &str = "/sys/class/input";
const EV_KEY: u16 = 1;
const KEY_POWER: u16 = 116;
/// Bytes of `struct input_event` on 64-bit machines: two 8-byte times, type, code, value.
const EVENT_SIZE: usize = 24;

/// One power button.
#[derive(Debug)]
pub struct PowerButton(AsyncFd<OwnedFd>);

/// Event devices that have a power key.
pub fn buttons() -> Vec<Utf8PathBuf> {
    let entries = fs::read_dir(SYS_INPUT).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with("event"))
        .filter(|name| has_power_key(name))
        .map(|name| Utf8Path::new("/dev/input").join(name))
        .collect()
}

impl PowerButton {
    /// Opens an event device. It must be called within a tokio runtime.
    pub fn open(path: &Utf8Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        Ok(Self(readable(file.into())?))
    }

    /// Waits until it is pressed. An error means that the device is gone.
    pub async fn pressed(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.0.readable().await?;
            let mut buffer = [0_u8; EVENT_SIZE * 16];
            match guard.try_io(|fd| read(fd, &mut buffer)) {
                Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(Ok(length)) if is_press(buffer.get(..length).unwrap_or_default()) => return Ok(()),
                Ok(Err(e)) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
        }
    }
}

fn has_power_key(event: &str) -> bool {
    let path = format!("{SYS_INPUT}/{event}/device/capabilities/key");
    fs::read_to_string(path).is_ok_and(|text| has_bit(&text, KEY_POWER))
}

/// Words of 64 bits in hexadecimal, the highest first.
fn has_bit(bitmap: &str, bit: u16) -> bool {
    let word = bitmap.split_whitespace().rev().nth(usize::from(bit / 64));
    word.and_then(|word| u64::from_str_radix(word, 16).ok()).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

fn is_press(events: &[u8]) -> bool {
    events.chunks_exact(EVENT_SIZE).any(|event| {
        let half = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
        half(16) == EV_KEY && half(18) == KEY_POWER && half(20) == 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![0_u8; 16];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    #[test]
    fn only_the_press_of_the_power_key_counts() {
        assert!(is_press(&[event(0, 0, 0), event(1, 116, 1)].concat()));
        assert!(!is_press(&event(1, 116, 0)), "release");
        assert!(!is_press(&event(1, 30, 1)), "another key");
    }

    #[test]
    fn the_key_bitmap_is_read_from_its_highest_word() {
        assert!(has_bit("10000000000000 0\n", 116));
        assert!(!has_bit("10000000000000\n", 116));
        assert!(!has_bit("402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n", 255));
    }
}
