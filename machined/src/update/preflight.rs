//! Everything that speaks against an update, found at once and before anything is written.

use corten_bundle::Manifest;
use corten_constants::CONFIG_FORMAT;
use semver::Version;

/// Name of the problem that another update is being written.
pub const BUSY: &str = "busy";
/// Space that stays free on the EFI partition.
const ESP_RESERVE: u64 = 16 << 20;

/// What the node is like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Version that runs.
    pub version: String,
    /// Root hash that runs.
    pub root_hash: String,
    /// Kubernetes that runs.
    pub kubernetes: String,
    /// Machine architecture, as Linux calls it.
    pub architecture: String,
    /// Bytes of the slot that would be written.
    pub slot_size: u64,
    /// Bytes that can be had on the EFI partition once the other slot's entry is gone.
    pub esp_free: u64,
    /// The running slot was found good.
    pub blessed: bool,
    /// An update is being written; its version.
    pub busy: Option<String>,
    /// Versions that failed here, with the reason.
    pub denied: Vec<(String, String)>,
    /// What is wrong with etcd, on a member of it.
    pub etcd: Option<String>,
}

/// One thing that speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable name.
    pub name: &'static str,
    /// What, one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// May be overruled.
    pub can_force: bool,
}

/// All problems of this update on this node; an empty list is a go.
pub fn problems(bundle: &Manifest, node: &Facts) -> Vec<Problem> {
    [
        architecture(bundle, node),
        busy(node),
        trial(node),
        running(bundle, node),
        floor(bundle, node),
        denied(bundle, node),
        kubernetes(bundle, node),
        config(bundle),
        slot(bundle, node),
        esp(bundle, node),
        etcd(node),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn hard(name: &'static str, message: String, hint: &str) -> Option<Problem> {
    Some(Problem { name, message, hint: hint.to_owned(), can_force: false })
}

fn soft(name: &'static str, message: String, hint: &str) -> Option<Problem> {
    Some(Problem { name, message, hint: hint.to_owned(), can_force: true })
}

fn architecture(bundle: &Manifest, node: &Facts) -> Option<Problem> {
    if bundle.architecture == node.architecture {
        return None;
    }
    let message = format!("the bundle is for {}, this machine is {}", bundle.architecture, node.architecture);
    hard("architecture", message, "take the bundle of this architecture")
}

fn busy(node: &Facts) -> Option<Problem> {
    let version = node.busy.as_ref()?;
    hard(BUSY, format!("an update to {version} is being written"), "osctl update status")
}

/// The other slot holds the only version that is known to work.
fn trial(node: &Facts) -> Option<Problem> {
    if node.blessed {
        return None;
    }
    let message = format!("{} is still on trial: the other slot is the way back", node.version);
    hard(
        "trial",
        message,
        "wait until the health gate has passed, or go back: osctl update status, osctl rollback",
    )
}

fn running(bundle: &Manifest, node: &Facts) -> Option<Problem> {
    if bundle.root_hash.to_string() != node.root_hash {
        return None;
    }
    hard("running", format!("this very image of {} runs already", bundle.version), "nothing needs to be done")
}

fn floor(bundle: &Manifest, node: &Facts) -> Option<Problem> {
    let floor = &bundle.min_version;
    let version: Version = node.version.parse().ok()?;
    if version >= *floor {
        return None;
    }
    let message = format!("{} can be reached from {floor} on, this node runs {version}", bundle.version);
    soft("version-floor", message, "update to a version in between first")
}

fn denied(bundle: &Manifest, node: &Facts) -> Option<Problem> {
    let (_, reason) = node.denied.iter().find(|(hash, _)| *hash == bundle.root_hash.to_string())?;
    let message = format!("{} failed on this node before: {reason}", bundle.version);
    soft("denied", message, &format!("take another version, or: osctl update allow {}", bundle.version))
}

/// The control plane goes up by one minor version at a time and never down: Kubernetes' version skew policy.
fn kubernetes(bundle: &Manifest, node: &Facts) -> Option<Problem> {
    let minor = |text: &str| {
        let version: Version = text.trim_start_matches('v').parse().ok()?;
        Some((version.major, version.minor))
    };
    let (old, new) = (minor(&node.kubernetes)?, minor(&bundle.kubernetes)?);
    if new == old || new == (old.0, old.1 + 1) {
        return None;
    }
    let message = format!(
        "the bundle has Kubernetes {}, this node {}: only the same or the next minor version may follow",
        bundle.kubernetes, node.kubernetes
    );
    soft("kubernetes-skew", message, "update by way of the versions in between")
}

fn config(bundle: &Manifest) -> Option<Problem> {
    let known = bundle.config_formats;
    if known.contains(CONFIG_FORMAT) {
        return None;
    }
    let message = format!(
        "{} reads config formats {} to {}, this node's config has format {CONFIG_FORMAT}",
        bundle.version, known.min, known.max
    );
    soft("config-format", message, "take a version that reads this node's config")
}

fn slot(bundle: &Manifest, node: &Facts) -> Option<Problem> {
    if bundle.root.size <= node.slot_size {
        return None;
    }
    let message = format!("the root image has {} bytes, the slot {}", bundle.root.size, node.slot_size);
    hard("slot-size", message, "the image was built for another disk layout")
}

fn esp(bundle: &Manifest, node: &Facts) -> Option<Problem> {
    let needed = bundle.uki.size + ESP_RESERVE;
    if needed <= node.esp_free {
        return None;
    }
    let message = format!("the EFI partition has {} bytes free, {needed} are needed", node.esp_free);
    hard(
        "esp-space",
        message,
        "something else filled the EFI partition: osctl reset --disk and a new installation mend it",
    )
}

fn etcd(node: &Facts) -> Option<Problem> {
    soft("etcd", node.etcd.clone()?, "osctl health, osctl logs etcd")
}

#[cfg(test)]
mod tests {
    use corten_bundle::{ConfigFormats, Digest, PartInfo};

    use super::*;

    fn part(size: u64) -> PartInfo {
        PartInfo { size, sha256: Digest::of(b"") }
    }

    fn bundle() -> Manifest {
        Manifest {
            version: "0.2.0".parse().unwrap(),
            min_version: "0.1.0".parse().unwrap(),
            kubernetes: "v1.36.3".into(),
            architecture: "x86_64".into(),
            config_formats: ConfigFormats { min: 1, max: 1 },
            root_hash: "b".repeat(64).parse().unwrap(),
            root: part(100 << 20),
            uki: part(20 << 20),
        }
    }

    fn node() -> Facts {
        Facts {
            version: "0.1.0".into(),
            root_hash: "a".repeat(64),
            kubernetes: "v1.36.3".into(),
            architecture: "x86_64".into(),
            slot_size: 2 << 30,
            esp_free: 900 << 20,
            blessed: true,
            ..Facts::default()
        }
    }

    fn names(bundle: &Manifest, node: &Facts) -> Vec<(&'static str, bool)> {
        problems(bundle, node).into_iter().map(|problem| (problem.name, problem.can_force)).collect()
    }

    #[test]
    fn nothing_speaks_against_the_next_version() {
        assert_eq!(problems(&bundle(), &node()), []);
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let node = Facts {
            version: "0.0.9".into(),
            architecture: "aarch64".into(),
            slot_size: 1 << 20,
            esp_free: 1 << 20,
            blessed: false,
            busy: Some("0.3.0".into()),
            denied: vec![("b".repeat(64), "kubelet".into())],
            etcd: Some("etcd does not serve".into()),
            kubernetes: "v1.34.0".into(),
            ..node()
        };
        let bundle = Manifest { config_formats: ConfigFormats { min: 2, max: 3 }, ..bundle() };
        let wanted = [
            ("architecture", false),
            ("busy", false),
            ("trial", false),
            ("version-floor", true),
            ("denied", true),
            ("kubernetes-skew", true),
            ("config-format", true),
            ("slot-size", false),
            ("esp-space", false),
            ("etcd", true),
        ];
        assert_eq!(names(&bundle, &node), wanted);
    }

    #[test]
    fn kubernetes_goes_up_one_minor_version_at_most() {
        for (old, new, fine) in [
            ("v1.36.3", "v1.36.1", true),
            ("v1.35.4", "v1.36.0", true),
            ("v1.36.0", "v1.35.9", false),
            ("v1.34.0", "v1.36.0", false),
        ] {
            let bundle = Manifest { kubernetes: new.into(), ..bundle() };
            let node = Facts { kubernetes: old.into(), ..node() };
            assert_eq!(names(&bundle, &node).is_empty(), fine, "{old} to {new}");
        }
    }

    #[test]
    fn the_image_that_runs_is_not_written_again() {
        let node = Facts { root_hash: "b".repeat(64), ..node() };
        assert_eq!(names(&bundle(), &node), [("running", false)]);
    }
}
