//! Memory of this process.

#![expect(unsafe_code, reason = "mlockall and malloc_trim")]

use std::io;

/// Keeps everything that this process has mapped now in memory, its program too: it goes on when the file it was started
/// from cannot be read any more. `mlockall(2)`.
pub fn lock_all() -> io::Result<()> {
    // SAFETY: takes flags and no pointer.
    let result = unsafe { libc::mlockall(libc::MCL_CURRENT) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives the kernel back what the heap holds and nobody uses. `malloc_trim(3)`.
pub fn trim() {
    // SAFETY: takes a number and no pointer, locks what it looks at, and frees only what is free.
    let _ = unsafe { libc::malloc_trim(0) }; // whether there was any is of no interest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_outlives_a_trim() {
        let mut kept: Vec<Vec<u8>> = (0..2000_u32).map(|n| n.to_le_bytes().repeat(1000)).collect();
        let mut n = 0;
        kept.retain(|_| {
            n += 1;
            n % 2 == 0
        });
        trim();
        assert!(kept.iter().zip(0_u32..).all(|(bytes, n)| *bytes == (2 * n + 1).to_le_bytes().repeat(1000)));
    }
}
