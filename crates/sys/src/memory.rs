//! Memory of this process.

#![expect(unsafe_code, reason = "mlockall")]

use std::io;

/// Keeps everything that this process has mapped now in memory, its program too: it goes on when the file it was started
/// from cannot be read any more. `mlockall(2)`.
pub fn lock_all() -> io::Result<()> {
    // SAFETY: takes flags and no pointer.
    let result = unsafe { libc::mlockall(libc::MCL_CURRENT) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
