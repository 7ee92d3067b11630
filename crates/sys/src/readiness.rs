//! Descriptors that a task waits for.

#![expect(unsafe_code, reason = "tokio asks for a promise that the descriptor stays the same")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets tasks wait until `fd`, which must be non-blocking, can be read. It must be called within a tokio runtime.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open until it is dropped, and its number never changes.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(registered?)
}

/// Reads once; `WouldBlock` when there is nothing.
pub(crate) fn read(fd: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(fd.get_ref(), buffer)?)
}
