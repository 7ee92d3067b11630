//! Kernel settings of every node: what Kubernetes needs, and what hardens without breaking workloads.
//!
//! A config may set more, or others, later.

use std::io;

use corten_sys::system::set_sysctl;

/// Set as soon as `/proc` is there.
pub const EARLY: &[(&str, &str, &str)] = &[
    ("kernel.panic", "10", "the kubelet expects it; a dead kernel restarts"),
    ("kernel.panic_on_oops", "1", "the kubelet expects it; a broken kernel must not go on"),
    ("vm.overcommit_memory", "1", "the kubelet expects it"),
    ("vm.panic_on_oom", "0", "the kubelet expects it: a process is killed, not the machine"),
    ("kernel.keys.root_maxkeys", "1000000", "the kubelet expects it"),
    ("kernel.keys.root_maxbytes", "25000000", "the kubelet expects it"),
    ("vm.max_map_count", "262144", "databases in pods map many files"),
    ("kernel.pid_max", "4194304", "many pods, and no quick reuse of process ids"),
    ("fs.inotify.max_user_instances", "8192", "every container runtime and log agent watches files"),
    ("fs.inotify.max_user_watches", "524288", "the same"),
    ("fs.file-max", "9223372036854775807", "bounded per process instead"),
    ("fs.nr_open", "1048576", "upper bound of open files per process"),
    ("net.ipv4.ip_forward", "1", "pods are routed"),
    ("net.ipv6.conf.all.forwarding", "1", "pods are routed"),
    ("net.ipv6.conf.default.forwarding", "1", "pods are routed"),
    ("net.ipv6.conf.all.accept_ra", "2", "a router still learns its own routes"),
    ("net.ipv6.conf.default.accept_ra", "2", "a router still learns its own routes"),
    ("net.ipv4.conf.all.rp_filter", "0", "the higher of this and the link's counts; CNIs need theirs looser"),
    ("net.ipv4.conf.default.rp_filter", "2", "loose: a source must be reachable through some link"),
    ("net.ipv4.conf.all.accept_redirects", "0", "nobody else tells us routes"),
    ("net.ipv4.conf.default.accept_redirects", "0", "nobody else tells us routes"),
    ("net.ipv6.conf.all.accept_redirects", "0", "nobody else tells us routes"),
    ("net.ipv6.conf.default.accept_redirects", "0", "nobody else tells us routes"),
    ("net.ipv4.conf.all.send_redirects", "0", "a node is no router for its neighbours"),
    ("net.ipv4.conf.default.send_redirects", "0", "a node is no router for its neighbours"),
    ("net.ipv4.conf.all.accept_source_route", "0", "the sender does not choose the way"),
    ("net.ipv6.conf.all.accept_source_route", "0", "the sender does not choose the way"),
    ("net.ipv4.icmp_echo_ignore_broadcasts", "1", "no amplifier"),
    ("net.ipv4.tcp_syncookies", "1", "connection floods"),
    ("net.ipv4.tcp_rfc1337", "1", "TIME-WAIT assassination"),
    ("net.ipv4.neigh.default.gc_thresh1", "4096", "one neighbour per pod"),
    ("net.ipv4.neigh.default.gc_thresh2", "8192", "one neighbour per pod"),
    ("net.ipv4.neigh.default.gc_thresh3", "16384", "one neighbour per pod"),
    ("net.core.somaxconn", "32768", "servers with many clients"),
    ("net.core.bpf_jit_harden", "1", "constants of unprivileged programs are blinded"),
    ("kernel.unprivileged_bpf_disabled", "1", "only privileged workloads load BPF"),
    ("kernel.kptr_restrict", "1", "kernel addresses stay secret; tracing tools with privilege still work"),
    ("kernel.dmesg_restrict", "1", "the kernel's log is for the API"),
    ("kernel.perf_event_paranoid", "2", "no kernel profiling without privilege"),
    ("kernel.yama.ptrace_scope", "1", "only descendants are traced"),
    ("kernel.sysrq", "0", "no back door on the keyboard"),
    ("kernel.io_uring_disabled", "1", "only for privileged processes: a frequent way into the kernel"),
    ("dev.tty.ldisc_autoload", "0", "no old line disciplines"),
    ("fs.protected_hardlinks", "1", "links in shared directories"),
    ("fs.protected_symlinks", "1", "links in shared directories"),
    ("fs.protected_fifos", "2", "pipes in shared directories"),
    ("fs.protected_regular", "2", "files in shared directories"),
    ("fs.suid_dumpable", "0", "no core of privileged programs"),
    ("vm.unprivileged_userfaultfd", "0", "helps exploits to win races"),
    ("vm.mmap_min_addr", "65536", "null pointers stay harmless"),
];

/// Set once the modules are loaded that bring them.
pub const AFTER_MODULES: &[(&str, &str, &str)] = &[
    ("net.bridge.bridge-nf-call-iptables", "1", "Services between pods of one bridge"),
    ("net.bridge.bridge-nf-call-ip6tables", "1", "Services between pods of one bridge"),
    ("net.netfilter.nf_conntrack_max", "262144", "kube-proxy does not have to"),
];

/// What the kernel keeps free for itself.
pub const RESERVE: &str = "vm.min_free_kbytes";
/// This part of all memory is enough for that.
const RESERVE_PART: u64 = 256;

/// The reserve in KiB that a machine with `total` KiB gets, when the kernel's is larger. For huge pages it keeps 66 MiB and
/// more free, however small the machine, and twice that counts as not available; here only programs get such pages that
/// ask for them. `set_recommended_min_free_kbytes` in the kernel's `mm/khugepaged.c`.
pub fn smaller_reserve(total: u64, current: u64) -> Option<u64> {
    Some(total / RESERVE_PART).filter(|reserve| *reserve < current)
}

/// Applies a table; answers what could not be set.
pub fn apply(table: &[(&'static str, &str, &str)]) -> Vec<(&'static str, io::Error)> {
    table.iter().filter_map(|(name, value, _)| Some((*name, set_sysctl(name, value).err()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_setting_appears_once_with_a_reason() {
        let mut names = BTreeSet::new();
        for (name, value, reason) in EARLY.iter().chain(AFTER_MODULES) {
            assert!(names.insert(name), "{name} appears twice");
            assert!(!value.is_empty() && !reason.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_kubelets_protected_defaults_hold() {
        let value = |name| EARLY.iter().find(|(known, ..)| *known == name).map(|(_, value, _)| *value);
        for (name, expect) in [
            ("vm.overcommit_memory", "1"),
            ("vm.panic_on_oom", "0"),
            ("kernel.panic", "10"),
            ("kernel.panic_on_oops", "1"),
            ("kernel.keys.root_maxkeys", "1000000"),
            ("kernel.keys.root_maxbytes", "25000000"),
        ] {
            assert_eq!(value(name), Some(expect), "{name}");
        }
    }

    #[test]
    fn a_small_machine_keeps_less_free_and_a_large_one_what_the_kernel_chose() {
        assert_eq!(smaller_reserve(4 << 20, 67_584), Some(16_384));
        assert_eq!(smaller_reserve(64 << 20, 67_584), None);
        assert_eq!(smaller_reserve(4 << 20, 8_192), None, "a kernel without huge pages");
    }

    #[test]
    fn a_setting_that_does_not_exist_is_told() {
        let failed = apply(&[("no.such.setting", "1", "test")]);
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].0, "no.such.setting");
    }
}
