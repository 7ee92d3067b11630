//! ext4: made by mkfs.ext4, checked by e2fsck, both from the image.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use camino::Utf8Path;
use corten_sys::block;
use corten_sys::process::{Command, Exit, Reaper};
use tracing::{info, warn};

use super::marker;
use super::tool::{self, Answer, ToolError};

const MKFS: &str = "/usr/sbin/mkfs.ext4";
const FSCK: &str = "/usr/sbin/e2fsck";
const BLOCK: u64 = 4096;
const MKFS_DEADLINE: Duration = Duration::from_secs(300);
/// A repair reads the whole disk.
const FSCK_DEADLINE: Duration = Duration::from_secs(3600);

/// Why there is no usable file system.
#[derive(Debug, thiserror::Error)]
pub enum FilesystemError {
    /// The device.
    #[error("{action} the partition")]
    Device {
        /// What was being done.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// A program did not answer.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// mkfs failed.
    #[error("mkfs.ext4: {exit}: {output}")]
    Format {
        /// How it ended.
        exit: Exit,
        /// What it said.
        output: String,
    },
    /// e2fsck failed.
    #[error("e2fsck cannot repair the file system: {exit}: {output}")]
    Check {
        /// How it ended.
        exit: Exit,
        /// What it said.
        output: String,
    },
}

/// Makes a file system; what the device held is lost.
pub(super) async fn format(reaper: &Reaper, device: &Utf8Path, label: &str) -> Result<(), FilesystemError> {
    let failed = |action| move |source| FilesystemError::Device { action, source };
    let size = File::open(device).and_then(|file| block::size(&file)).map_err(failed("measure"))?;
    let blocks = size.saturating_sub(marker::RESERVED) / BLOCK;
    blocking(device, marker::set).await.map_err(failed("mark"))?;
    let command = Command::new(MKFS)
        .args(["-q", "-F", "-b", "4096", "-m", "0", "-L", label])
        // The kernel does the rest while the machine works. Discarding a large disk can take minutes.
        .args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"])
        .arg(device.as_str())
        .arg(blocks.to_string());
    let Answer { exit, output } = tool::run(reaper, command, MKFS_DEADLINE).await?;
    if !exit.success() {
        return Err(FilesystemError::Format { exit, output });
    }
    blocking(device, marker::clear).await.map_err(failed("unmark"))
}

/// Checks the file system if it was not unmounted in order, and repairs it.
pub(super) async fn check(reaper: &Reaper, device: &Utf8Path) -> Result<(), FilesystemError> {
    let clean = blocking(device, is_clean).await;
    if clean.map_err(|source| FilesystemError::Device { action: "read", source })? {
        return Ok(());
    }
    info!(%device, "the file system was not unmounted in order: checking it");
    match outcome(fsck(reaper, "-p", device).await?)? {
        Outcome::Good => Ok(()),
        Outcome::NeedsMore(output) => {
            // Nobody can log in and answer questions, so all of them are answered with yes.
            warn!(%device, output, "the file system needs repairs that may lose files");
            let answer = fsck(reaper, "-y", device).await?;
            let (exit, output) = (answer.exit, answer.output.clone());
            match outcome(answer)? {
                Outcome::Good => Ok(()),
                Outcome::NeedsMore(_) => Err(FilesystemError::Check { exit, output }),
            }
        }
    }
}

async fn fsck(reaper: &Reaper, how: &str, device: &Utf8Path) -> Result<Answer, ToolError> {
    let command = Command::new(FSCK).arg(how).arg(device.as_str());
    tool::run(reaper, command, FSCK_DEADLINE).await
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    NeedsMore(String),
}

/// e2fsck's exit code is a sum: 1 repaired, 2 repaired and reboot (only for a mounted one), 4 errors left, 8 and more:
/// it could not work.
fn outcome(answer: Answer) -> Result<Outcome, FilesystemError> {
    let Answer { exit, output } = answer;
    match exit {
        Exit::Code(0..=3) => Ok(Outcome::Good),
        Exit::Code(4..=7) => Ok(Outcome::NeedsMore(output)),
        _ => Err(FilesystemError::Check { exit, output }),
    }
}

/// Whether the superblock says that the file system was unmounted in order and has no errors. That is what e2fsck
/// itself looks at first.
fn is_clean(device: &Utf8Path) -> io::Result<bool> {
    const SUPERBLOCK: u64 = 1024;
    const STATE_VALID: u16 = 1;
    const INCOMPAT_RECOVER: u32 = 4;
    let file = File::open(device)?;
    let mut bytes = [0; 256];
    file.read_exact_at(&mut bytes, SUPERBLOCK)?;
    let state = u16::from_le_bytes([bytes[0x3a], bytes[0x3b]]);
    let incompatible = u32::from_le_bytes([bytes[0x60], bytes[0x61], bytes[0x62], bytes[0x63]]);
    Ok(state == STATE_VALID && incompatible & INCOMPAT_RECOVER == 0)
}

async fn blocking<T: Send + 'static>(
    device: &Utf8Path,
    work: impl FnOnce(&Utf8Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let device = device.to_owned();
    tokio::task::spawn_blocking(move || work(&device)).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: i32) -> Answer {
        Answer { exit: Exit::Code(code), output: "x".into() }
    }

    #[test]
    fn exit_codes_of_e2fsck_are_sums() {
        assert_eq!(outcome(answer(0)).unwrap(), Outcome::Good);
        assert_eq!(outcome(answer(3)).unwrap(), Outcome::Good);
        assert_eq!(outcome(answer(5)).unwrap(), Outcome::NeedsMore("x".into()));
        assert!(outcome(answer(8)).is_err());
        assert!(outcome(answer(12)).is_err());
        assert!(outcome(Answer { exit: Exit::Signal(11), output: String::new() }).is_err());
    }

    #[test]
    fn a_superblock_in_use_or_with_errors_is_not_clean() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("fs");
        for (state, recover, clean) in [(1, 0, true), (0, 0, false), (3, 0, false), (1, 4, false)] {
            let mut bytes = vec![0_u8; 4096];
            bytes[1024 + 0x3a] = state;
            bytes[1024 + 0x60] = 0x40 | recover;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(is_clean(&path).unwrap(), clean, "{state} {recover}");
        }
    }
}
