//! Capability sets by raw system calls, because the code between fork and exec must not allocate.

#![expect(unsafe_code, reason = "capset and prctl have no safe wrapper that is free of allocation")]

use std::io;

use super::Capability;

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`.
const VERSION_3: u32 = 0x2008_0522;

/// A set of capabilities as the kernel's bit mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mask(u64);

impl Mask {
    /// The mask of a list.
    pub(super) fn of(list: &[Capability]) -> Self {
        Self(list.iter().fold(0, |mask, capability| mask | capability.bitmask()))
    }

    fn has(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    fn low(self) -> u32 {
        u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or(0)
    }

    fn high(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(0)
    }
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Keeps the permitted set across the coming change of user id.
pub(super) fn keep_across_setuid() -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, 1, 0)
}

/// Removes everything but `keep` from the bounding set. It needs `CAP_SETPCAP`, so it comes before the change of user.
pub(super) fn limit_bounding_set(keep: Mask) -> io::Result<()> {
    for bit in (0..64).filter(|bit| !keep.has(*bit)) {
        match prctl(libc::PR_CAPBSET_DROP, u64::from(bit), 0) {
            // Past the last capability that this kernel knows.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Makes `mask` the permitted, effective, inheritable and ambient set.
pub(super) fn set_all(mask: Mask) -> io::Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let data =
        [mask.low(), mask.high()].map(|word| Data { effective: word, permitted: word, inheritable: word });
    // SAFETY: both pointers are to live values with the layout of version 3 (a header and two data words); pid 0 is
    // the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    check(result)?;
    prctl(libc::PR_CAP_AMBIENT, u64::from(libc::PR_CAP_AMBIENT_CLEAR_ALL.unsigned_abs()), 0)?;
    for bit in (0..64).filter(|bit| mask.has(*bit)) {
        prctl(libc::PR_CAP_AMBIENT, u64::from(libc::PR_CAP_AMBIENT_RAISE.unsigned_abs()), u64::from(bit))?;
    }
    Ok(())
}

fn prctl(option: i32, first: u64, second: u64) -> io::Result<()> {
    // SAFETY: the options used here take plain numbers; unused arguments are zero as the man page asks.
    let result = unsafe { libc::prctl(option, first, second, 0_u64, 0_u64) };
    check(i64::from(result))
}

fn check(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_the_bits_of_its_list_in_both_words() {
        let mask = Mask::of(&[Capability::CAP_CHOWN, Capability::CAP_SYS_TIME, Capability::CAP_BPF]);
        assert_eq!(mask.low(), 1 | 1 << 25);
        assert_eq!(mask.high(), 1 << (39 - 32));
        assert!(mask.has(39) && !mask.has(1));
    }
}
