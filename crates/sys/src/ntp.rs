//! What the kernel knows about the quality of its clock.

#![expect(unsafe_code, reason = "no crate of ours wraps adjtimex")]

use std::io;
use std::time::Duration;

/// State of the kernel's clock, as whoever disciplines it has set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// Whether the clock follows a time source.
    pub synchronised: bool,
    /// Largest possible error.
    pub max_error: Duration,
}

/// Asks the kernel, and changes nothing. Needs no right.
///
/// # Errors
/// When the kernel refuses, which it does only inside of a filter for system calls.
pub fn clock_state() -> io::Result<ClockState> {
    let mut timex = std::mem::MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the pointer is to a whole timex of our own. All its bits are zero, so no mode is set and it is only filled.
    let state = unsafe { libc::adjtimex(timex.as_mut_ptr()) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a timex is plain numbers, for which zeroes are valid values; the kernel has written over them.
    let timex = unsafe { timex.assume_init() };
    Ok(ClockState {
        synchronised: timex.status & libc::STA_UNSYNC == 0,
        max_error: Duration::from_micros(timex.maxerror.try_into().unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_without_any_right() {
        let state = clock_state().unwrap();
        // An unsynchronised clock has the largest error that the kernel counts to, 16 s.
        assert!(state.max_error <= Duration::from_secs(16), "{state:?}");
    }
}
