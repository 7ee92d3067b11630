//! What is particular to a machine that runs from an install medium: it waits for a config that names a disk.

use corten_resources::block::DiskStatus;
use corten_resources::install::{InstallPhase, InstallStatus};
use corten_resources::runtime::{MACHINE, UnmetCondition};
use corten_store::Store;
use serde_json::{Value, json};

/// The installation; none when the machine does not run from a medium.
pub(super) fn install(store: &Store) -> Option<InstallStatus> {
    store.get::<InstallStatus>(MACHINE).map(|status| status.spec.clone())
}

/// What the machine waits for.
pub(super) fn condition(store: &Store, install: &InstallStatus) -> UnmetCondition {
    let hint = "osctl apply-config --insecure --fingerprint <shown on the console> -f <config>";
    let (reason, hint) = match install.phase {
        InstallPhase::Waiting => (
            "the system runs from the install medium; it waits for a config with an Install document"
                .to_owned(),
            hint,
        ),
        InstallPhase::Running => (format!("installing to {}: {}", install.disk, install.message), ""),
        InstallPhase::Finished => (install.message.clone(), ""),
        InstallPhase::Failed => {
            (format!("the installation to {} failed", install.disk), install.hint.as_str())
        }
    };
    let mut causes: Vec<String> =
        Some(install.error.clone()).filter(|error| !error.is_empty()).into_iter().collect();
    if install.phase == InstallPhase::Waiting {
        causes.extend(installed(store));
    }
    UnmetCondition { name: "install".into(), reason, causes, hint: hint.into() }
}

/// A sentence for each disk that a system of ours is installed on.
pub(super) fn installed(store: &Store) -> Vec<String> {
    let disks = store.list::<DiskStatus>();
    let ours = disks.iter().filter(|disk| disk.spec.is_ours() && !disk.spec.system);
    let sentence = |path: &str, content: &str| {
        format!("{path} holds an installed system ({content}): it is not touched without being asked")
    };
    ours.map(|disk| sentence(&disk.spec.path, &disk.spec.content)).collect()
}

/// For the console.
pub(super) fn snapshot(install: &InstallStatus) -> Value {
    json!({
        "phase": install.phase,
        "disk": install.disk,
        "message": install.message,
        "done": install.done,
        "total": install.total,
        "rate": install.rate,
        "remaining_ms": install.remaining_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let store = Store::new();
        let disk = |content: &str, system| DiskStatus {
            path: "/dev/vda".into(),
            content: content.into(),
            system,
            ..DiskStatus::default()
        };
        store.put::<DiskStatus>("test", "vda", disk("corten 0.1.0", false)).unwrap();
        store.put::<DiskStatus>("test", "sda", disk("corten", true)).unwrap();
        store.put::<DiskStatus>("test", "vdb", disk("ext4", false)).unwrap();
        store
    }

    #[test]
    fn an_installed_system_is_told_while_the_machine_waits() {
        let waiting = condition(&store(), &InstallStatus::default());
        assert!(waiting.reason.contains("waits for a config with an Install document"));
        let told = "/dev/vda holds an installed system (corten 0.1.0): it is not touched without being asked";
        assert_eq!(waiting.causes, [told]);
        assert!(waiting.hint.contains("apply-config"));
    }

    #[test]
    fn a_failure_gives_its_cause_and_what_to_do() {
        let status = InstallStatus {
            phase: InstallPhase::Failed,
            disk: "/dev/vdb".into(),
            error: "write: gone".into(),
            hint: "again".into(),
            ..InstallStatus::default()
        };
        let failed = condition(&store(), &status);
        assert_eq!(
            (failed.reason.as_str(), failed.hint.as_str()),
            ("the installation to /dev/vdb failed", "again")
        );
        assert_eq!(failed.causes, ["write: gone"]);
    }
}
