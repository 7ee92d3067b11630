//! Versions that must not stay: each kind of failure once, with what a node says of it.
//!
//! A row is a further version with more kernel arguments. The VM tests prove that each of them goes away by itself, and the
//! benchmark measures how long that takes.

use crate::variant::Variant;

/// What the console shows of a boot that does not come as far as the root.
pub const CANNOT_BOOT: &str = "corten: cannot boot";

/// A version that must not stay.
#[derive(Debug, Clone, Copy)]
pub struct Broken {
    /// What is wrong with it.
    pub name: &'static str,
    /// Folder below `_out/update` of the further version that it is made of.
    pub base: &'static str,
    /// What is added to its command line.
    pub arguments: &'static str,
    /// What the node says of it afterwards.
    pub reason: &'static str,
    /// What its console shows, and is no trouble.
    pub console: &'static [&'static str],
    /// The only format of configs that it reads; the node's own when not given.
    pub config_format: Option<u32>,
}

impl Broken {
    /// The version, made of its base.
    #[must_use]
    pub fn of(&self, base: Variant) -> Variant {
        let version = base.with_cmdline(self.arguments);
        match self.config_format {
            Some(format) => version.config_formats(format, format),
            None => version,
        }
    }
}

const fn row(
    name: &'static str,
    base: &'static str,
    arguments: &'static str,
    reason: &'static str,
    console: &'static [&'static str],
) -> Broken {
    Broken { name, base, arguments, reason, console, config_format: None }
}

/// Every kind.
pub const ROWS: &[Broken] = &[
    row("kernel-panic", "next", "rdinit=/nope", "left no trace", &["Kernel panic"]),
    row("no-network", "next", "module_blacklist=virtio_net", "api: the machine has no address", &[]),
    row(
        "crash-at-start",
        "faults",
        "corten.fault=crash-at-start",
        "kernel panic",
        &["src/faults.rs", "Kernel panic"],
    ),
    row("no-disk-driver", "next", "module_blacklist=virtio_blk", "left no trace", &[CANNOT_BOOT]),
    row("no-etcd", "no-etcd", "", "etcd", &[]),
    row("hang-in-initramfs", "faults", "corten.fault=hang-initramfs", "left no trace", &[]),
    row("no-api", "faults", "corten.fault=no-api", "api", &[]),
    row("kubelet-not-ready", "faults", "corten.fault=no-kubelet", "node-ready", &[]),
    row("deadlock", "faults", "corten.fault=deadlock", "without a word", &[]),
    Broken {
        config_format: Some(9),
        ..row(
            "config-of-another-format",
            "faults",
            "corten.fault=config-format",
            "config: this version cannot",
            &[],
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_chosen_by_its_name() {
        let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
