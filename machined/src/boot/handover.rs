//! What the initramfs hands to machined in the real root, through the environment.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use super::timeline::Timeline;

/// Marks of the timeline.
const TIMELINE: &str = "CORTEN_BOOT_TIMELINE";
/// Number of the open descriptor of the armed watchdog.
const WATCHDOG_FD: &str = "CORTEN_WATCHDOG_FD";
/// Kernel name of the partition that holds the root image.
const ROOT_PARTITION: &str = "CORTEN_ROOT_PARTITION";
/// Kernel name of the disk with that partition.
const ROOT_DISK: &str = "CORTEN_ROOT_DISK";
/// Kernel name of the install medium's device.
const MEDIUM: &str = "CORTEN_MEDIUM";

/// Everything that is handed over.
#[derive(Debug, Clone, Default)]
pub struct Handover {
    /// How the boot went so far.
    pub timeline: Timeline,
    /// The armed watchdog, still open.
    pub watchdog: Option<RawFd>,
    /// The disk that the root is on: the system disk.
    pub root_disk: Option<String>,
    /// The partition that the root is on.
    pub root_partition: Option<String>,
    /// The install medium that the root is on, instead of a disk.
    pub medium: Option<String>,
}

impl Handover {
    /// As environment variables.
    pub fn encode(&self) -> BTreeMap<String, String> {
        let watchdog = self.watchdog.map(|fd| fd.to_string());
        let variables = [
            (TIMELINE, Some(self.timeline.encode())),
            (WATCHDOG_FD, watchdog),
            (ROOT_DISK, self.root_disk.clone()),
            (ROOT_PARTITION, self.root_partition.clone()),
            (MEDIUM, self.medium.clone()),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Reads the environment of this process; empty when nothing was handed over.
    pub fn from_environment() -> Self {
        Self::decode(|name| std::env::var(name).ok())
    }

    fn decode(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            timeline: Timeline::decode(&variable(TIMELINE).unwrap_or_default()),
            watchdog: variable(WATCHDOG_FD).and_then(|fd| fd.parse().ok()),
            root_disk: variable(ROOT_DISK),
            root_partition: variable(ROOT_PARTITION),
            medium: variable(MEDIUM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_arrives() {
        let handover = Handover {
            timeline: Timeline::decode("7=init"),
            watchdog: Some(5),
            root_disk: Some("vda".into()),
            root_partition: None,
            medium: Some("sr0".into()),
        };
        let environment = handover.encode();
        let arrived = Handover::decode(|name| environment.get(name).cloned());
        assert_eq!(arrived.encode(), environment);
        assert_eq!((arrived.watchdog, arrived.root_partition), (Some(5), None));
        assert_eq!(arrived.medium.as_deref(), Some("sr0"));
    }
}
