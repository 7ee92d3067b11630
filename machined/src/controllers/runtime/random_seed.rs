//! Hands randomness from boot to boot, for machines whose processor has no source of it.
//!
//! Reads `VolumeStatus`; owns no resource. What the last boot left on STATE goes into the kernel's generator without counting
//! as entropy, and is replaced at once, so that no two boots begin with the same. See random(4).

use std::io;
use std::path::{Path, PathBuf};

use corten_constants::{labels, paths};
use corten_controller::{BoxError, Context, Controller, Next};
use corten_resources::block::VolumeStatus;
use corten_store::Kind as _;
use corten_sys::system;

use crate::controllers::config::generations::durable_write;

/// What the kernel's generator holds: a longer seed adds nothing.
const SEED: usize = 32;

/// The controller.
#[derive(Debug)]
pub struct RandomSeed {
    path: PathBuf,
    done: bool,
}

impl Default for RandomSeed {
    fn default() -> Self {
        Self { path: Path::new(paths::STATE).join("random-seed"), done: false }
    }
}

impl Controller for RandomSeed {
    fn name(&self) -> &'static str {
        "runtime/random-seed"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[VolumeStatus::NAME]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    async fn reconcile(&mut self, ctx: &Context) -> Result<Next, BoxError> {
        let mounted = ctx.get::<VolumeStatus>(labels::STATE).is_some_and(|volume| volume.spec.is_mounted());
        if self.done || !mounted {
            return Ok(Next::Wait);
        }
        let path = self.path.clone();
        if tokio::task::spawn_blocking(move || renew(&path, system::mix_random_seed)).await?? {
            tracing::info!("the last boot's seed went into the kernel's random numbers");
        }
        self.done = true;
        Ok(Next::Wait)
    }
}

/// Gives an old seed to `mix` and leaves a new one; tells whether there was an old one.
fn renew(path: &Path, mix: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<bool> {
    let old = match std::fs::read(path) {
        Ok(seed) => Some(seed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(seed) = &old {
        mix(seed)?;
    }
    durable_write(path, &system::random::<SEED>()?)?;
    Ok(old.is_some())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_boot_takes_the_seed_of_the_one_before_and_leaves_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("random-seed");
        assert!(!renew(&path, |_| panic!("there is none")).unwrap());
        let first = std::fs::read(&path).unwrap();
        assert_eq!(first.len(), SEED);

        let mut mixed = Vec::new();
        let found = renew(&path, |seed| {
            mixed = seed.to_vec();
            Ok(())
        });
        assert!(found.unwrap());
        assert_eq!(mixed, first);
        assert_ne!(std::fs::read(&path).unwrap(), first);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_seed_that_was_not_taken_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("random-seed");
        std::fs::write(&path, b"old").unwrap();
        renew(&path, |_| Err(io::Error::other("no"))).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}
