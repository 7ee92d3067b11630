//! The watchdog device, which resets the machine when nobody pets it.
//!
//! The initramfs arms it and hands the open descriptor on by number, because closing it would count as a bite.

#![expect(unsafe_code, reason = "ioctl, and a descriptor by its number")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::time::Duration;

use camino::Utf8Path;

/// The kernel's watchdogs, in the order in which their drivers came.
pub const DEVICES: [&str; 2] = ["/dev/watchdog0", "/dev/watchdog1"];
/// `WDIOC_KEEPALIVE`.
const KEEP_ALIVE: libc::Ioctl = 0x8004_5705;
/// `WDIOC_SETTIMEOUT`.
const SET_TIMEOUT: libc::Ioctl = 0xC004_5706;

/// An armed watchdog. Dropping it leaves it armed.
#[derive(Debug)]
pub struct Watchdog(File);

impl Watchdog {
    /// Opens, which arms, and sets the timeout; the device may round it. A device without a settable timeout keeps its
    /// own.
    pub fn arm(path: &Utf8Path, timeout: Duration) -> io::Result<Self> {
        let watchdog = Self(OpenOptions::new().write(true).open(path)?);
        let mut seconds = i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX);
        // SAFETY: WDIOC_SETTIMEOUT reads and writes one int.
        let _ = unsafe { libc::ioctl(watchdog.0.as_raw_fd(), SET_TIMEOUT, &raw mut seconds) };
        watchdog.pet()?;
        Ok(watchdog)
    }

    /// Takes over what [`Watchdog::into_inheritable`] gave to the program before this one.
    pub fn inherit(fd: RawFd) -> io::Result<Self> {
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}"))?;
        if !link.to_string_lossy().starts_with("/dev/watchdog") {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        // SAFETY: the descriptor is open, is a watchdog, and nothing else in this process knows its number.
        let file = unsafe { File::from_raw_fd(fd) };
        let watchdog = Self(file);
        rustix::io::fcntl_setfd(&watchdog.0, rustix::io::FdFlags::CLOEXEC)?;
        Ok(watchdog)
    }

    /// Keeps the descriptor open across exec; answers its number.
    pub fn into_inheritable(self) -> io::Result<RawFd> {
        rustix::io::fcntl_setfd(&self.0, rustix::io::FdFlags::empty())?;
        Ok(std::os::fd::IntoRawFd::into_raw_fd(self.0))
    }

    /// Says that all is well.
    pub fn pet(&self) -> io::Result<()> {
        let mut unused = 0_i32;
        // SAFETY: WDIOC_KEEPALIVE takes at most one int.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), KEEP_ALIVE, &raw mut unused) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Switches it off, if the driver allows that.
    pub fn disarm(mut self) -> io::Result<()> {
        self.0.write_all(b"V")
    }
}
