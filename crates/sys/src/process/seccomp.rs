//! System call filters, compiled before the fork.

use std::collections::BTreeMap;
use std::sync::Arc;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// What no service of ours has a use for and what an intruder would try first: changing the kernel, the mounts, the
/// clock or other processes. Denied with `EPERM`; everything else stays allowed, because a Go program on a newer
/// kernel must not die of a call that this list has never heard of.
const DENIED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_init_module,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// A compiled filter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Seccomp(Arc<BpfProgram>);

/// Why a filter could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The machine's architecture is not one that the compiler knows.
    #[error("compile a system call filter for {arch}")]
    Compile {
        /// Architecture name.
        arch: &'static str,
        /// The compiler's answer.
        source: seccompiler::BackendError,
    },
}

impl Seccomp {
    /// The filter of every unprivileged service.
    pub fn standard() -> Result<Self, SeccompError> {
        let failed = |source| SeccompError::Compile { arch: std::env::consts::ARCH, source };
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
        let rules: BTreeMap<i64, Vec<_>> = DENIED.iter().map(|call| (*call, Vec::new())).collect();
        let deny = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, deny, arch).map_err(failed)?;
        let program: BpfProgram = filter.try_into().map_err(failed)?;
        Ok(Self(Arc::new(program)))
    }

    /// Confines the calling thread, for good.
    pub(super) fn apply(&self) -> std::io::Result<()> {
        seccompiler::apply_filter(&self.0).map_err(|e| match e {
            seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => source,
            _ => std::io::Error::from_raw_os_error(libc::EINVAL),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_filter_refuses_a_mount_and_lets_the_rest_through() {
        let seccomp = Seccomp::standard().unwrap();
        let refused = std::thread::spawn(move || {
            seccomp.apply().unwrap();
            let pid = nix::unistd::getpid();
            let denied = nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS);
            (pid.as_raw() > 0, denied)
        });
        assert_eq!(refused.join().unwrap(), (true, Err(nix::errno::Errno::EPERM)));
    }
}
