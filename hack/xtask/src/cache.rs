//! The build cache: what was built is found again by the contents of what it was built from.
//!
//! A result is a folder named after its step and the hash of its inputs: file contents, flags and
//! tool versions, never times or absolute paths. So a second run, or a new clone on the same
//! machine, finds it. A folder is filled under a temporary name, synced and renamed: it is there
//! whole or not at all. The cache lives in `$CORTEN_CACHE`, or else in `corten` in the user's cache
//! folder, and keeps the few most recently used results of each step.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use corten_image::digest::sha256;
use sha2::{Digest as _, Sha256};

use crate::progress::{self, Step};

/// Results of a step that are kept when newer ones come.
const KEEP: usize = 4;
/// A result that was used this recently is kept in any case: another task may be reading it.
const IN_USE: Duration = Duration::from_secs(2 * 60 * 60);
/// Characters of the hash in a folder's name.
const KEY_LENGTH: usize = 32;

/// The checkout that this task works on.
pub(crate) fn workspace_root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).ancestors().nth(2).unwrap_or(Path::new("."));
    root.to_path_buf()
}

/// Where tasks leave what they made, in the checkout.
pub(crate) fn out_dir() -> PathBuf {
    workspace_root().join("_out")
}

/// Everything that a result depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    hash: Sha256,
}

impl Inputs {
    /// Starts with nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a value, such as a flag or a tool's version.
    #[must_use]
    pub(crate) fn value(mut self, label: &str, value: impl AsRef<[u8]>) -> Self {
        // With the lengths in front, no two lists of entries run together into the same bytes.
        for part in [label.as_bytes(), value.as_ref()] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
        self
    }

    /// Adds a file's contents and whether it is executable, under a name that is the same on every
    /// machine.
    pub(crate) fn file(self, label: &str, path: &Path) -> Result<Self> {
        let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let executable = file.metadata()?.permissions().mode() & 0o111 != 0;
        let hash = sha256(&mut file).with_context(|| format!("read {}", path.display()))?;
        Ok(self.value(label, [u8::from(executable)]).value("contents", hash))
    }

    /// Adds every file in a folder and below, by name and contents.
    pub(crate) fn folder(mut self, label: &str, path: &Path) -> Result<Self> {
        let entries = fs::read_dir(path).with_context(|| format!("list {}", path.display()))?;
        let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<OsString>>>()?;
        names.sort();
        for name in names {
            let child = path.join(&name);
            let label = format!("{label}/{}", name.to_string_lossy());
            self = if child.is_dir() { self.folder(&label, &child)? } else { self.file(&label, &child)? };
        }
        Ok(self)
    }

    /// The name of these inputs.
    pub(crate) fn key(&self) -> String {
        let digest = self.hash.clone().finalize();
        let mut key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        key.truncate(KEY_LENGTH);
        key
    }
}

/// Returns the folder with the results of `name` for these inputs; makes it when it is not there.
///
/// `produce` writes the files `outputs` into the folder that it is given.
pub(crate) fn build(
    name: &str,
    inputs: &Inputs,
    outputs: &[&str],
    produce: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    build_in(&directory()?, name, inputs, outputs, produce)
}

/// Puts a file of the cache where a user looks for it, as a hard link when the disk is the same.
pub(crate) fn place(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("replace {}", to.display()));
        }
        _ => {}
    }
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

fn directory() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    set("CORTEN_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("corten")))
        .or_else(|| set("HOME").map(|folder| folder.join(".cache/corten")))
        .context("no place for the build cache: set CORTEN_CACHE to a folder")
}

fn build_in(
    cache: &Path,
    name: &str,
    inputs: &Inputs,
    outputs: &[&str],
    produce: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("create {}", cache.display()))?;
    let slug = name.replace('/', "-");
    let result = cache.join(format!("{slug}-{}", inputs.key()));
    if is_whole(&result, outputs) {
        return reuse(name, result);
    }
    // Two tasks that want the same thing: the second waits, and finds it made.
    let lock = File::create(cache.join(format!(".{slug}.lock"))).context("open the build cache's lock")?;
    if lock.try_lock().is_err() {
        progress::note(name, "waiting for another task that builds it");
        lock.lock().context("lock the build cache")?;
    }
    if is_whole(&result, outputs) {
        return reuse(name, result);
    }

    let unfinished = format!(".{slug}.");
    remove_folders(cache, &unfinished)?; // what a killed task left; we hold the lock
    let step = Step::start(name, "building");
    let made = tempfile::Builder::new().prefix(&unfinished).tempdir_in(cache)?;
    produce(made.path())?;
    if let Some(missing) = outputs.iter().find(|output| !made.path().join(output).exists()) {
        bail!("{name}: the build ended well but did not make {missing}");
    }
    seal(made.path()).with_context(|| format!("sync the result of {name}"))?;
    if result.exists() {
        fs::remove_dir_all(&result).with_context(|| format!("remove the broken {}", result.display()))?;
    }
    fs::rename(made.keep(), &result).with_context(|| format!("move the result of {name} into the cache"))?;
    File::open(cache)?.sync_all()?;
    prune(cache, &slug, &result)?;
    step.done("built");
    Ok(result)
}

fn remove_folders(cache: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

fn is_whole(result: &Path, outputs: &[&str]) -> bool {
    result.is_dir() && outputs.iter().all(|output| result.join(output).exists())
}

/// Marks a result as used now, which is what keeps it.
fn reuse(name: &str, result: PathBuf) -> Result<PathBuf> {
    File::open(&result)?.set_modified(SystemTime::now())?;
    progress::note(name, "up to date");
    Ok(result)
}

/// Makes a folder durable and its files read-only: a hard link to one is not a place to edit.
fn seal(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            seal(&entry.path())?;
        } else if kind.is_file() {
            let file = File::open(entry.path())?;
            let mode = file.metadata()?.permissions().mode();
            file.set_permissions(fs::Permissions::from_mode(mode & !0o222))?;
            file.sync_all()?;
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    File::open(folder)?.sync_all()
}

/// Removes the results of a step that were not used for long, and that newer ones replace.
fn prune(cache: &Path, slug: &str, current: &Path) -> Result<()> {
    let mut results = Vec::new();
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.path() != current && is_result_of(&entry.file_name().to_string_lossy(), slug) {
            results.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    results.sort();
    results.reverse();
    for (used, path) in results.into_iter().skip(KEEP - 1) {
        if used.elapsed().unwrap_or_default() > IN_USE {
            fs::remove_dir_all(&path).with_context(|| format!("remove the old {}", path.display()))?;
        }
    }
    Ok(())
}

fn is_result_of(folder: &str, slug: &str) -> bool {
    let key = folder.strip_prefix(slug).and_then(|rest| rest.strip_prefix('-'));
    key.is_some_and(|key| key.len() == KEY_LENGTH && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Builds `outputs` for an input, and tells whether anything was built.
    fn build_counted(cache: &Path, input: &str, outputs: &[&str]) -> (Result<PathBuf>, u32) {
        let built = Cell::new(0);
        let inputs = Inputs::new().value("input", input);
        let result = build_in(cache, "part/thing", &inputs, outputs, |folder| {
            built.set(built.get() + 1);
            Ok(fs::write(folder.join("program"), input)?)
        });
        (result, built.get())
    }

    #[test]
    fn the_key_changes_with_each_input_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("main.go");
        fs::write(&file, "one").unwrap();
        let key = |label: &str, flags: &str| {
            Inputs::new().value(label, flags).folder("src", folder.path()).unwrap().key()
        };
        let first = key("flags", "-s");
        assert_eq!(first.len(), KEY_LENGTH);
        File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(first, key("flags", "-s"), "a time is no input");
        assert_ne!(first, key("flags", "-w"));
        assert_ne!(first, key("flag", "s-s"), "entries do not run together");

        fs::write(&file, "two").unwrap();
        let changed = key("flags", "-s");
        assert_ne!(first, changed);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(changed, key("flags", "-s"), "whether a file is executable matters");
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/x"), "").unwrap();
        let deeper = key("flags", "-s");
        fs::rename(folder.path().join("sub/x"), folder.path().join("sub/y")).unwrap();
        assert_ne!(deeper, key("flags", "-s"), "names below are inputs too");
    }

    #[test]
    fn the_same_inputs_are_built_once() {
        let cache = tempfile::tempdir().unwrap();
        let (first, built) = build_counted(cache.path(), "a", &["program"]);
        assert_eq!(built, 1);
        let (second, built) = build_counted(cache.path(), "a", &["program"]);
        assert_eq!(built, 0);
        assert_eq!(first.unwrap(), second.unwrap());
        let (other, built) = build_counted(cache.path(), "b", &["program"]);
        assert_eq!(built, 1);
        assert_eq!(fs::read_to_string(other.unwrap().join("program")).unwrap(), "b");
    }

    #[test]
    fn a_result_that_lost_a_file_is_built_again() {
        let cache = tempfile::tempdir().unwrap();
        let result = build_counted(cache.path(), "a", &["program"]).0.unwrap();
        fs::remove_file(result.join("program")).unwrap();
        let (again, built) = build_counted(cache.path(), "a", &["program"]);
        assert_eq!(built, 1);
        assert!(again.unwrap().join("program").exists());
    }

    #[test]
    fn what_a_killed_build_left_is_removed_by_the_next() {
        let cache = tempfile::tempdir().unwrap();
        let (left, other) = (cache.path().join(".part-thing.x"), cache.path().join(".part-thing-b.x"));
        fs::create_dir(&left).unwrap();
        fs::create_dir(&other).unwrap();
        build_counted(cache.path(), "a", &["program"]).0.unwrap();
        assert!(!left.exists() && other.exists());
    }

    #[test]
    fn a_build_that_lacks_an_output_leaves_nothing_behind() {
        let cache = tempfile::tempdir().unwrap();
        let error = build_counted(cache.path(), "a", &["program", "manual"]).0.unwrap_err();
        assert!(error.to_string().contains("did not make manual"), "{error}");
        let names: Vec<_> =
            fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [".part-thing.lock"]);
    }

    #[test]
    fn old_results_of_a_step_go_and_recent_ones_stay() {
        let cache = tempfile::tempdir().unwrap();
        let age = |path: &Path, hours: u64| {
            let then = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
            File::open(path).unwrap().set_modified(then).unwrap();
        };
        let mut made = Vec::new();
        for number in 0..7 {
            let path = build_counted(cache.path(), &number.to_string(), &["program"]).0.unwrap();
            age(&path, 100 - number);
            made.push(path);
        }
        let left: Vec<bool> = made.iter().map(|path| path.exists()).collect();
        assert_eq!(left, [false, false, false, true, true, true, true]);
        for path in &made[3..] {
            age(path, 1);
        }
        build_counted(cache.path(), "new", &["program"]).0.unwrap();
        assert!(made[3].exists(), "in use an hour ago");
    }

    #[test]
    fn only_folders_of_the_step_itself_are_its_results() {
        let key = "0123456789abcdef0123456789abcdef";
        assert!(is_result_of(&format!("image-{key}"), "image"));
        assert!(!is_result_of(&format!("image-root-{key}"), "image"));
        assert!(!is_result_of("image-short", "image"));
    }

    #[test]
    fn placing_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("bin/to"));
        fs::write(&from, "new").unwrap();
        place(&from, &to).unwrap();
        place(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
    }
}
