//! Config generations on STATE.
//!
//! One file per generation, `<number>.yaml`: a header line `corten-config 1 <sha256 of the rest>`, then the documents as
//! they were given. A file is written beside its place, synced and renamed, so a power cut leaves it whole or absent;
//! one whose checksum is wrong is passed over, and the generation before it is used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::digest::sha256;

const MAGIC: &str = "corten-config 1";
/// How many generations are kept.
const KEEP: usize = 10;

/// A generation as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// SHA-256 of the text, hexadecimal.
    pub digest: String,
    /// The documents.
    pub text: String,
}

/// Why the generations could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// The directory or a file in it.
    #[error("{doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The directory with the generations.
#[derive(Debug, Clone)]
pub struct Generations {
    dir: PathBuf,
}

impl Generations {
    /// Generations below `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The newest whole generation, and what is wrong with the newer ones.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn newest(&self) -> Result<(Option<Generation>, Vec<String>), GenerationError> {
        let mut damaged = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            match self.read(number) {
                Ok(generation) => return Ok((Some(generation), damaged)),
                Err(why) => damaged.push(format!("generation {number}: {why}")),
            }
        }
        Ok((None, damaged))
    }

    /// All whole generations, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Generation>, GenerationError> {
        Ok(self.numbers()?.into_iter().filter_map(|number| self.read(number).ok()).collect())
    }

    /// Keeps `text` as the next generation and forgets the oldest ones. The same text as the newest is not kept twice.
    ///
    /// # Errors
    /// When it could not be written, for example because STATE is full; the generations before it are untouched.
    pub fn add(&self, text: &str) -> Result<Generation, GenerationError> {
        if let (Some(newest), _) = self.newest()?
            && newest.text == text
        {
            return Ok(newest);
        }
        let number = self.numbers()?.last().map_or(1, |newest| newest + 1);
        let digest = sha256([text]);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|source| self.error("create", &self.dir, source))?;
        let path = self.path(number);
        let content = format!("{MAGIC} {digest}\n{text}");
        durable_write(&path, content.as_bytes()).map_err(|source| self.error("write", &path, source))?;
        self.forget_old()?;
        Ok(Generation { number, digest, text: text.to_owned() })
    }

    fn read(&self, number: u64) -> Result<Generation, String> {
        let content = fs::read_to_string(self.path(number)).map_err(|error| error.to_string())?;
        let (header, text) = content.split_once('\n').ok_or("it is cut off in the header")?;
        let want = header.strip_prefix(MAGIC).ok_or("it has an unknown format")?.trim();
        let have = sha256([text]);
        if want != have {
            return Err("its checksum is wrong".into());
        }
        Ok(Generation { number, digest: have, text: text.to_owned() })
    }

    fn numbers(&self) -> Result<Vec<u64>, GenerationError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.error("read", &self.dir, source)),
        };
        let mut numbers: Vec<u64> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".yaml")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn forget_old(&self) -> Result<(), GenerationError> {
        let numbers = self.numbers()?;
        for number in numbers.iter().take(numbers.len().saturating_sub(KEEP)) {
            let path = self.path(*number);
            fs::remove_file(&path).map_err(|source| self.error("remove", &path, source))?;
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number}.yaml"))
    }

    #[expect(
        clippy::unused_self,
        reason = "reads better at the call than a free function with the same name"
    )]
    fn error(&self, doing: &'static str, path: &Path, source: io::Error) -> GenerationError {
        GenerationError::Io { doing, path: path.to_owned(), source }
    }
}

/// Writes beside `path`, syncs, renames, and syncs the directory: after a power cut there is the old file or the new.
///
/// # Errors
/// What the file system says; the temporary file is removed then.
pub fn durable_write(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if let Err(error) = written {
        // The first error is the one to tell; a temporary file that stays is overwritten by the next attempt.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder_of(path)
}

/// Removes a file so that it stays removed whenever power is cut. One that is not there is no error.
///
/// # Errors
/// What the file system says.
pub fn durable_remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, Generations) {
        let dir = tempfile::tempdir().unwrap();
        let generations = Generations::new(dir.path().join("config"));
        (dir, generations)
    }

    #[test]
    fn the_newest_generation_is_found() {
        let (_dir, generations) = fresh();
        assert_eq!(generations.newest().unwrap(), (None, vec![]));
        generations.add("a: 1\n").unwrap();
        generations.add("a: 2\n").unwrap();
        assert_eq!(generations.newest().unwrap().0.unwrap().text, "a: 2\n");
    }

    #[test]
    fn the_same_text_is_not_kept_twice() {
        let (_dir, generations) = fresh();
        assert_eq!(generations.add("a: 1\n").unwrap().number, 1);
        assert_eq!(generations.add("a: 1\n").unwrap().number, 1);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_falls_back_to_the_generation_before() {
        let (_dir, generations) = fresh();
        generations.add("a: 1\n").unwrap();
        generations.add("a: 2\n").unwrap();
        let path = generations.path(2);
        let whole = fs::read(&path).unwrap();
        let cuts = (0..whole.len()).map(|end| whole[..end].to_vec());
        let flips = (0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        });
        for bytes in cuts.chain(flips) {
            fs::write(&path, &bytes).unwrap();
            let (newest, damaged) = generations.newest().unwrap();
            assert_eq!(newest.unwrap().number, 1, "{}", String::from_utf8_lossy(&bytes));
            assert_eq!(damaged.len(), 1);
        }
    }

    #[test]
    fn old_generations_are_forgotten() {
        let (_dir, generations) = fresh();
        for n in 0..15 {
            generations.add(&format!("a: {n}\n")).unwrap();
        }
        let numbers: Vec<u64> = generations.list().unwrap().into_iter().map(|g| g.number).collect();
        assert_eq!(numbers, (6..=15).collect::<Vec<_>>());
    }
}
