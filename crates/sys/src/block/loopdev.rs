//! Loop devices: a file as a block device.

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
    device: Option<OwnedFd>,
}

impl LoopDevice {
    /// Attaches a file for reading and writing.
    pub fn attach(file: &Utf8Path) -> io::Result<Self> {
        Self::attach_with(file, OpenOptions::new().read(true).write(true))
    }

    /// Attaches a file for reading: the kernel refuses every write to the device.
    pub fn attach_read_only(file: &Utf8Path) -> io::Result<Self> {
        Self::attach_with(file, OpenOptions::new().read(true))
    }

    /// The kernel makes the device read-only when the file or the device is open for reading only.
    fn attach_with(file: &Utf8Path, options: &OpenOptions) -> io::Result<Self> {
        let backing = options.open(file)?;
        let control = File::options().read(true).write(true).open("/dev/loop-control")?;
        let mut last = io::Error::from(io::ErrorKind::ResourceBusy);
        for _ in 0..ATTEMPTS {
            let number = ioctl(&control, LOOP_CTL_GET_FREE, 0)?;
            let path = Utf8PathBuf::from(format!("/dev/loop{number}"));
            let device = options.open(&path)?;
            match ioctl(&device, LOOP_SET_FD, backing.as_raw_fd()) {
                Ok(_) => return Ok(Self { path, device: Some(device.into()) }),
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

    /// Leaves it attached for as long as the machine runs; answers its node.
    pub fn keep(mut self) -> Utf8PathBuf {
        self.device = None;
        std::mem::take(&mut self.path)
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            let _ = ioctl(device, LOOP_CLR_FD, 0);
        }
    }
}

fn ioctl(fd: &impl AsRawFd, request: libc::Ioctl, argument: i32) -> io::Result<i32> {
    // SAFETY: the loop requests used here take no pointer.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_device_for_reading_shows_the_file_and_takes_no_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("image")).unwrap();
        std::fs::write(&path, [7; 8192]).unwrap();
        let device = match LoopDevice::attach_read_only(&path) {
            Ok(device) => device,
            Err(error) => {
                println!("skipped: no loop device can be attached here: {error}");
                return;
            }
        };
        let mut bytes = [0; 512];
        File::open(device.path()).unwrap().read_exact_at(&mut bytes, 4096).unwrap();
        assert_eq!(bytes, [7; 512]);
        let writer = OpenOptions::new().write(true).open(device.path());
        assert!(
            writer.and_then(|file| file.write_all_at(&[1; 512], 0).and_then(|()| file.sync_all())).is_err()
        );
        assert_eq!(std::fs::read(&path).unwrap(), [7; 8192]);
    }

    #[test]
    fn a_device_that_is_kept_outlives_its_handle() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("image")).unwrap();
        std::fs::write(&path, [7; 4096]).unwrap();
        let Ok(device) = LoopDevice::attach_read_only(&path) else {
            println!("skipped: no loop device can be attached here");
            return;
        };
        let node = device.keep();
        let file = File::open(&node).unwrap();
        let mut bytes = [0; 512];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, [7; 512]);
        ioctl(&file, LOOP_CLR_FD, 0).unwrap();
    }
}
