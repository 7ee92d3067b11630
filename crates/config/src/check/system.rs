//! The machine itself: kernel parameters that are the OS's own, a clock, a name, a disk to install to.

use super::{Checker, Place};
use crate::diagnostic::Code;
use crate::report::Finding;

/// Kernel parameters that the OS needs for itself, and where they are set instead.
const OWNED: &[(&str, &str)] = &[
    ("kernel.modprobe", "the OS answers requests for modules"),
    ("kernel.hostname", "use a Hostname document"),
    ("kernel.domainname", "use a Hostname document"),
    ("kernel.poweroff_cmd", "there is no such program"),
    ("kernel.core_pattern", "there is no program that takes core dumps"),
];

/// What a disk is found by.
const DISK_KEYS: &str = "size, model, serial, wwid, busPath, transport, rotational, byId";

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    let documents = checker.documents;
    for name in documents.sysctl.iter().flat_map(|sysctl| sysctl.settings.keys()) {
        let dotted = name.replace('/', ".");
        if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| *owned == dotted) {
            let message = format!("the kernel parameter {name} is the OS's own");
            let place = ["settings", name.as_str()];
            checker.contradiction(&Place::new("Sysctl", 0, &place), message, format!("remove it: {instead}"));
        }
    }
    if documents.time.as_ref().is_some_and(|time| !time.enabled && !time.servers.is_empty()) {
        let message = "the clock is not kept, so the servers are not used";
        checker.contradiction(
            &Place::new("Time", 0, &["servers"]),
            message,
            "remove enabled: false, or the servers",
        );
    }
    if documents.install.as_ref().is_some_and(|install| install.disk.is_empty()) {
        let message = "`disk` names no property and would fit every disk";
        let finding = Finding::error(Code::MissingKey, message, format!("give at least one of {DISK_KEYS}"));
        checker.add(&Place::new("Install", 0, &["disk"]), finding.allowed(DISK_KEYS));
    }
    if documents.hostname.as_ref().is_some_and(|name| name.hostname.split('.').next() == Some("localhost")) {
        let message = "localhost is the name of every machine";
        checker.contradiction(
            &Place::new("Hostname", 0, &["hostname"]),
            message,
            "give the machine a name of its own",
        );
    }
}
