//! Loop devices: a file as a block device, for tests.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use camino::{Utf8Path, Utf8PathBuf};

const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_SET_FD: libc::Ioctl = 0x4C00;
const LOOP_CLR_FD: libc::Ioctl = 0x4C01;
const ATTEMPTS: usize = 16;

/// An attached loop device; it is detached when dropped.
#[derive(Debug)]
pub struct LoopDevice {
    path: Utf8PathBuf,
    device: OwnedFd,
}

impl LoopDevice {
    /// Attaches a file for reading and writing.
    pub fn attach(file: &Utf8Path) -> io::Result<Self> {
        let backing = OpenOptions::new().read(true).write(true).open(file)?;
        let control = File::options().read(true).write(true).open("/dev/loop-control")?;
        let mut last = io::Error::from(io::ErrorKind::ResourceBusy);
        for _ in 0..ATTEMPTS {
            let number = ioctl(&control, LOOP_CTL_GET_FREE, 0)?;
            let path = Utf8PathBuf::from(format!("/dev/loop{number}"));
            let device = OpenOptions::new().read(true).write(true).open(&path)?;
            match ioctl(&device, LOOP_SET_FD, backing.as_raw_fd()) {
                Ok(_) => return Ok(Self { path, device: device.into() }),
                // Someone else was faster: ask for the next one.
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Its node.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = ioctl(&self.device, LOOP_CLR_FD, 0);
    }
}

fn ioctl(fd: &impl AsRawFd, request: libc::Ioctl, argument: i32) -> io::Result<i32> {
    // SAFETY: the loop requests used here take no pointer.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
