//! Unmounts what was mounted: pods' volumes, containers' layers, EPHEMERAL and STATE.
//!
//! A pass from the last mount to the first, again while it helps. What is still busy then is made read-only, so that
//! the disk is in order, and taken out of sight.

use camino::Utf8Path;
use corten_sys::mount::{self, MountEntry};
use tracing::warn;

/// A mount may only go when another one went before.
const PASSES: usize = 4;
/// They hold nothing, and the rest of the shutdown uses them.
const KEPT: &[&str] = &["/", "/proc", "/sys", "/dev", "/run", "/etc", "/tmp", MEDIUM];
/// The install medium holds the root image.
const MEDIUM: &str = "/run/corten/medium";
const KEPT_BELOW: &[&str] = &["/proc/", "/sys/", "/dev/"];

/// Unmounts everything that can be.
pub(super) fn unmount_all() {
    for _ in 0..PASSES {
        let before = mounted();
        if before.is_empty() {
            return;
        }
        for entry in &before {
            let _ = mount::unmount(&entry.target);
        }
        if mounted().len() == before.len() {
            break;
        }
    }
    for entry in mounted() {
        warn!(target = %entry.target, "is busy");
        if entry.source.starts_with("/dev/") {
            let _ = mount::remount_read_only(&entry.target);
        }
        let _ = mount::unmount_lazy(&entry.target);
    }
}

/// What has to go, the last mount first.
fn mounted() -> Vec<MountEntry> {
    let mut entries = mount::table().unwrap_or_default();
    entries.retain(|entry| has_to_go(&entry.target));
    entries.reverse();
    entries
}

fn has_to_go(target: &Utf8Path) -> bool {
    !KEPT.contains(&target.as_str()) && !KEPT_BELOW.iter().any(|dir| target.as_str().starts_with(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_and_pods_go_and_the_machines_own_mounts_stay() {
        for target in
            ["/var", "/system/state", "/opt/cni/bin", "/run/netns/x", "/var/lib/kubelet/pods/1", "/tmp/one"]
        {
            assert!(has_to_go(target.into()), "{target}");
        }
        for target in ["/", "/proc", "/sys/fs/cgroup", "/dev/pts", "/run", "/etc", "/run/corten/medium"] {
            assert!(!has_to_go(target.into()), "{target}");
        }
    }
}
