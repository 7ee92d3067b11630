//! The system calls that apid may make once it listens. Anything else fails with EPERM.
//!
//! No program can be started, no file written, no socket but a Unix one made: what takes over apid holds the API's key
//! for as long as it runs, and nothing else.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Calls that are allowed whatever their arguments.
const ALLOWED: &[libc::c_long] = &[
    // Data over sockets and events.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_close,
    libc::SYS_fcntl,
    // The runtime's signal handling.
    libc::SYS_socketpair,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    // Looking at the certificate files.
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    // Threads and time.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_membarrier,
    libc::SYS_getcpu,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Facts about the process; prctl names threads and cannot raise privileges after no_new_privs.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_getrandom,
    libc::SYS_uname,
    // Refused by the other filter, with another error.
    libc::SYS_clone3,
];

/// The filter could not be made or applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeccompError {
    #[error("seccomp filters are not known for this architecture")]
    Architecture(#[source] seccompiler::BackendError),
    #[error("make the seccomp filter")]
    Build(#[source] seccompiler::BackendError),
    #[error("apply the seccomp filter")]
    Apply(#[source] seccompiler::Error),
}

/// Restrict this thread, and every thread that it will start, for good.
pub(super) fn apply() -> Result<(), SeccompError> {
    let architecture = std::env::consts::ARCH.try_into().map_err(SeccompError::Architecture)?;
    for filter in filters(architecture).map_err(SeccompError::Build)? {
        seccompiler::apply_filter(&filter).map_err(SeccompError::Apply)?;
    }
    Ok(())
}

fn filters(architecture: TargetArch) -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // A thread, never a process.
    rules.insert(libc::SYS_clone, vec![has_bits(0, libc::CLONE_THREAD)?]);
    // Files are read, never written.
    rules.insert(
        libc::SYS_openat,
        vec![masked(2, libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC, libc::O_RDONLY)?],
    );
    // machined's socket, never the network.
    rules.insert(libc::SYS_socket, vec![masked(0, -1, libc::AF_UNIX)?]);
    let refuse = SeccompAction::Errno(errno(libc::EPERM));
    let allow = SeccompFilter::new(rules, refuse, SeccompAction::Allow, architecture)?;
    // The flags of clone3 are behind a pointer, out of the filter's sight. On ENOSYS the C library takes clone.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let missing = SeccompAction::Errno(errno(libc::ENOSYS));
    let clone3 = SeccompFilter::new(clone3, SeccompAction::Allow, missing, architecture)?;
    // In this order: the second forbids to add a third.
    Ok([clone3.try_into()?, allow.try_into()?])
}

fn has_bits(argument: u8, bits: libc::c_int) -> Result<SeccompRule, seccompiler::BackendError> {
    masked(argument, bits, bits)
}

fn masked(
    argument: u8,
    mask: libc::c_int,
    value: libc::c_int,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let wide = |number: libc::c_int| u64::from(number.cast_unsigned());
    SeccompRule::new(vec![Condition::new(argument, Len::Dword, Op::MaskedEq(wide(mask)), wide(value))?])
}

fn errno(number: libc::c_int) -> u32 {
    number.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use std::{fs, io, net::TcpStream, os::unix::net::UnixStream, thread};

    use super::*;

    /// Run in a thread of its own: the filter stays on the thread that takes it.
    fn restricted<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        thread::spawn(|| {
            apply().unwrap();
            body()
        })
        .join()
        .unwrap()
    }

    fn refused<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn no_program_can_be_started() {
        assert!(restricted(|| refused(std::process::Command::new("/bin/true").spawn())));
    }

    #[test]
    fn files_can_be_read_and_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "there").unwrap();
        let target = path.clone();
        let (read, write, create) = restricted(move || {
            let create = fs::File::create_new(target.with_extension("new"));
            (fs::read(&target), fs::write(&target, "gone"), create)
        });
        assert_eq!(read.unwrap(), b"there");
        assert!(refused(write) && refused(create));
        assert_eq!(fs::read(&path).unwrap(), b"there");
    }

    #[test]
    fn the_network_cannot_be_dialled() {
        assert!(restricted(|| refused(TcpStream::connect("127.0.0.1:1"))));
        let unix = restricted(|| UnixStream::connect("/nonexistent").unwrap_err().kind());
        assert_eq!(unix, io::ErrorKind::NotFound);
    }

    #[test]
    fn threads_still_start() {
        assert_eq!(restricted(|| thread::spawn(|| 7).join().unwrap()), 7);
    }
}
