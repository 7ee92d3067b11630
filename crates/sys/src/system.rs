//! Small settings of the running kernel: sysctls, host name, resource limits, clocks, random numbers, fw_cfg.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::time::TimeSpec;
use nix::time::ClockId;

/// Where QEMU's fw_cfg entries appear once `qemu_fw_cfg` is loaded.
const FW_CFG: &str = "/sys/firmware/qemu_fw_cfg/by_name";

/// File of a sysctl. Its name may be written with dots or, where a part has dots of its own, with slashes.
pub fn sysctl_path(name: &str) -> Utf8PathBuf {
    let relative = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    Utf8Path::new("/proc/sys").join(relative.trim_start_matches('/'))
}

/// Sets a sysctl.
pub fn set_sysctl(name: &str, value: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(sysctl_path(name))?;
    io::Write::write_all(&mut file, value.as_bytes())
}

/// Reads a sysctl.
pub fn sysctl(name: &str) -> io::Result<String> {
    Ok(fs::read_to_string(sysctl_path(name))?.trim().to_owned())
}

/// Sets the kernel's host name.
pub fn set_hostname(name: &str) -> io::Result<()> {
    Ok(nix::unistd::sethostname(name)?)
}

/// Sets a resource limit of this process; what it starts inherits it.
pub fn set_rlimit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    Ok(setrlimit(resource, soft, hard)?)
}

/// A resource limit of this process: what is enforced, and up to where that may be raised.
pub fn rlimit(resource: Resource) -> io::Result<(u64, u64)> {
    Ok(getrlimit(resource)?)
}

/// Lowers the priority of the calling thread, and of those that it starts.
pub fn be_nice(nice: i32) -> io::Result<()> {
    let thread = rustix::thread::gettid();
    Ok(rustix::process::setpriority_process(Some(thread), nice)?)
}

/// Time since power on, suspended time included.
pub fn uptime() -> Duration {
    nix::time::clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Sets the wall clock forward to `floor` when it is before it; answers whether it was.
pub fn clock_not_before(floor: SystemTime) -> io::Result<bool> {
    let behind = SystemTime::now() < floor;
    if behind {
        let since = floor.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        nix::time::clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::from(since))?;
    }
    Ok(behind)
}

/// Random bytes from the kernel. It waits for the kernel's generator, which is ready long before PID 1 on any machine
/// with RDRAND or a jitter source.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Mixes a seed into the kernel's generator, without counting it as entropy.
pub fn mix_random_seed(seed: &[u8]) -> io::Result<()> {
    fs::write("/dev/urandom", seed)
}

/// A blob that QEMU passes as `-fw_cfg name=NAME,file=...`.
pub fn fw_cfg(name: &str) -> io::Result<Vec<u8>> {
    fs::read(Utf8Path::new(FW_CFG).join(name).join("raw"))
}

/// User id of the process at the other end of a unix socket.
pub fn peer_uid(socket: &impl AsFd) -> io::Result<u32> {
    Ok(nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::PeerCredentials)?.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctl_names_are_paths_with_either_separator() {
        assert_eq!(sysctl_path("net.ipv4.ip_forward"), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(
            sysctl_path("net/ipv4/conf/eth0.1/forwarding"),
            "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
        );
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }

    #[test]
    fn a_clock_that_is_right_is_left_alone() {
        assert!(!clock_not_before(UNIX_EPOCH).unwrap());
        assert!(uptime() > Duration::ZERO);
    }
}
