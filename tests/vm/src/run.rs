//! One test: the lock, its folder, its body, the look at its nodes, and what is kept of it.

use crate::Lab;
use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use corten_lab::{Image, cache_dir, leftovers};
use std::fs::{self, File};
use std::sync::Mutex;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs the body of a test; its name is that of the function around it.
///
/// # Panics
/// When the test fails: that is how a test says so.
#[expect(clippy::panic, reason = "called by test functions only")]
pub fn vm_test<F: AsyncFnOnce(&Lab) -> Result<()>>(body: F) {
    let name = name_of::<F>();
    // A test that failed poisons the lock, and the next one has nothing to do with that.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Err(error) = run(&name, body) {
        panic!("{error:#}");
    }
}

/// The same for a test of one of the groups that take turns, so that a run ends in time: group `turn` of four has its
/// turn in every fourth run. `cargo xtask test --long` runs all of them.
pub fn vm_test_in_turn<F: AsyncFnOnce(&Lab) -> Result<()>>(turn: usize, body: F) {
    if crate::slice::has_turn(turn) {
        return vm_test(body);
    }
    #[expect(clippy::print_stderr, reason = "the test's own output")]
    let () = eprintln!("skipped: {} has its turn in another run, or with --long", name_of::<F>());
}

fn run<F: AsyncFnOnce(&Lab) -> Result<()>>(name: &str, body: F) -> Result<()> {
    let _lock = machine_lock()?;
    let image = Image::find()?;
    let root = image.dir().join("test");
    for dir in leftovers::stop_all(&root) {
        #[expect(clippy::print_stderr, reason = "the test's own output")]
        let () = eprintln!("an earlier run was killed: stopped the machine in {dir}");
    }
    let dir = root.join(name);
    leftovers::remove(&dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("make {dir}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let lab = Lab::new(image, dir.clone()).await;
        let mut outcome = body(&lab).await;
        if outcome.is_ok() {
            outcome = lab.check_clean().await;
        }
        match outcome {
            Ok(()) => leftovers::remove(&dir).map_err(Into::into),
            Err(error) => {
                lab.keep_evidence().await;
                // The test runner shows it only when all tests have ended.
                let _ = fs::write(dir.join("failure.txt"), format!("{error:#}\n"));
                Err(error.context(format!("what is known is in {dir}")))
            }
        }
    })
}

/// Held by whoever runs a VM test on this machine.
fn machine_lock() -> Result<File> {
    let path = cache_dir().join("vm-tests.lock");
    fs::create_dir_all(cache_dir())?;
    let file = File::create(&path).with_context(|| format!("open {path}"))?;
    file.lock().with_context(|| format!("lock {path}"))?;
    Ok(file)
}

/// `vm::boot::a_node_boots::{{closure}}` is the test `a_node_boots`.
fn name_of<F>() -> String {
    let full = std::any::type_name::<F>();
    let parts = full.split("::").filter(|part| !part.starts_with("{{"));
    parts.last().unwrap_or("test").to_owned()
}

/// The folder with the operator's tools.
pub(crate) fn bin(image: &Image) -> Utf8PathBuf {
    image.dir().join("bin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outer() -> String {
        fn of<F: AsyncFnOnce(&Lab) -> Result<()>>(_: F) -> String {
            name_of::<F>()
        }
        of(async |_| Ok(()))
    }

    #[test]
    fn a_test_is_named_after_its_function() {
        assert_eq!(outer(), "outer");
    }
}
