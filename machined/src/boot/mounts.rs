//! The file systems of a running machine, as tight as Kubernetes allows.

use corten_sys::mount::{Flags, Mount};

/// No device nodes, no setuid, no programs.
const SEALED: Flags = Flags::MS_NOSUID.union(Flags::MS_NODEV).union(Flags::MS_NOEXEC);

/// Whether the machine can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It cannot.
    Required,
    /// Not every kernel or machine has it.
    Optional,
}

/// What every program of ours needs; the initramfs mounts it and hands it on.
pub fn base() -> Vec<Mount> {
    // containerd keeps its tasks' bundles below /run, and a shim is started from there.
    let run = Flags::MS_NOSUID | Flags::MS_NODEV;
    vec![
        Mount::pseudo("proc", "/proc", SEALED, ""),
        Mount::pseudo("sysfs", "/sys", SEALED, ""),
        Mount::pseudo("devtmpfs", "/dev", Flags::MS_NOSUID | Flags::MS_NOEXEC, "mode=0755"),
        Mount::pseudo("tmpfs", "/run", run, "mode=0755"),
    ]
}

/// What comes on top of [`base`] in the real root.
pub fn rest() -> Vec<(Mount, Need)> {
    let terminals = Flags::MS_NOSUID | Flags::MS_NOEXEC;
    let required = [
        Mount::pseudo("devpts", "/dev/pts", terminals, "gid=5,mode=620,ptmxmode=666"),
        Mount::pseudo("tmpfs", "/dev/shm", SEALED, "mode=1777"),
        Mount::pseudo("cgroup2", "/sys/fs/cgroup", SEALED, "nsdelegate,memory_recursiveprot"),
        Mount::pseudo("tmpfs", "/etc", SEALED, "mode=0755,size=16m"),
        Mount::pseudo("tmpfs", "/tmp", SEALED, "mode=1777"),
    ];
    let optional = [
        Mount::pseudo("mqueue", "/dev/mqueue", SEALED, ""),
        Mount::pseudo("hugetlbfs", "/dev/hugepages", Flags::MS_NOSUID | Flags::MS_NODEV, "mode=0755"),
        Mount::pseudo("bpf", "/sys/fs/bpf", SEALED, "mode=0700"),
        Mount::pseudo("securityfs", "/sys/kernel/security", SEALED, ""),
        Mount::pseudo("pstore", "/sys/fs/pstore", SEALED, ""),
        Mount::pseudo("tracefs", "/sys/kernel/tracing", SEALED, ""),
    ];
    let required = required.into_iter().map(|mount| (mount, Need::Required));
    required.chain(optional.into_iter().map(|mount| (mount, Need::Optional))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_nosuid_and_only_what_holds_devices_allows_them() {
        let all = base().into_iter().chain(rest().into_iter().map(|(mount, _)| mount));
        for mount in all {
            assert!(mount.flags.contains(Flags::MS_NOSUID), "{}", mount.target);
            let has_devices = ["/dev", "/dev/pts"].contains(&mount.target.as_str());
            assert_eq!(mount.flags.contains(Flags::MS_NODEV), !has_devices, "{}", mount.target);
        }
    }

    #[test]
    fn a_mount_point_comes_before_what_is_mounted_in_it() {
        let all: Vec<_> = base().into_iter().chain(rest().into_iter().map(|(mount, _)| mount)).collect();
        for (index, mount) in all.iter().enumerate() {
            let later = all.iter().skip(index + 1);
            assert!(!later.clone().any(|other| mount.target.starts_with(&other.target)), "{}", mount.target);
        }
    }
}
