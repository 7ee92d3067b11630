//! KVM or emulation.
//!
//! `/dev/kvm` may open, and even make a virtual machine, where no kernel runs in it (nested virtualisation that
//! is half there). So the question is answered by booting our own kernel for a moment. The answer holds until
//! this machine boots again and is kept in the cache folder.

use crate::{Image, LabError, cache_dir};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// How QEMU runs the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// On the processor.
    Kvm,
    /// Translated, in software.
    Tcg,
}

/// A kernel under KVM prints its first line within a second.
const PROBE_PATIENCE: Duration = Duration::from_secs(4);

/// What any Linux says first, and what it says last when it finds no root.
const SIGNS_OF_LIFE: [&str; 2] = ["Linux version", "Kernel panic"];

impl Accel {
    /// KVM when a kernel was seen to run in it, else emulation. `CORTEN_ACCEL=kvm|tcg` decides without a probe.
    pub async fn detect(image: &Image) -> Self {
        if let Some(wanted) = std::env::var("CORTEN_ACCEL").ok().and_then(|text| parse(&text)) {
            return wanted;
        }
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let kept = cache_dir().join(format!("accel-{}", boot_id.trim()));
        if let Some(known) = fs::read_to_string(&kept).ok().and_then(|text| parse(&text)) {
            return known;
        }
        let accel = if kvm_runs(image).await { Self::Kvm } else { Self::Tcg };
        remember(&kept, accel);
        tracing::info!(accel = accel.name(), "probed for KVM");
        accel
    }

    /// "kvm" or "tcg".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

fn parse(text: &str) -> Option<Accel> {
    [Accel::Kvm, Accel::Tcg].into_iter().find(|accel| accel.name() == text.trim())
}

/// A cache that cannot be written costs four seconds the next time, and nothing else.
fn remember(path: &Utf8Path, accel: Accel) {
    if let Some(folder) = path.parent() {
        let _ = fs::create_dir_all(folder);
    }
    let _ = fs::write(path, accel.name());
}

async fn kvm_runs(image: &Image) -> bool {
    if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return false;
    }
    probe(image).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the KVM probe failed");
        false
    })
}

async fn probe(image: &Image) -> Result<bool, LabError> {
    let dir = tempfile::tempdir().map_err(LabError::file("make", Utf8Path::new("a temporary folder")))?;
    let console = Utf8PathBuf::from_path_buf(dir.path().join("console")).unwrap_or_default();
    let mut qemu = tokio::process::Command::new(crate::node::QEMU);
    qemu.args(["-nodefaults", "-display", "none", "-machine", "q35", "-accel", "kvm", "-cpu", "host"])
        .args(["-m", "256M", "-no-reboot", "-serial", &format!("file:{console}")])
        .args(["-kernel", image.kernel().as_str(), "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = qemu.spawn().map_err(crate::node::no_qemu)?;
    let deadline = tokio::time::Instant::now() + PROBE_PATIENCE;
    while tokio::time::Instant::now() < deadline {
        let text = fs::read_to_string(&console).unwrap_or_default();
        if SIGNS_OF_LIFE.iter().any(|sign| text.contains(sign)) {
            return Ok(true);
        }
        if matches!(child.try_wait(), Ok(Some(_))) {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_answer_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("new/accel");
        remember(&path, Accel::Tcg);
        assert_eq!(parse(&fs::read_to_string(path).unwrap()), Some(Accel::Tcg));
        assert_eq!(parse("xen"), None);
    }
}
