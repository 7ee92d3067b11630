//! META as machined uses it: a path, and one change at a time.
//!
//! machined is the only process that writes, so a lock inside of it is enough.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::copies;
use crate::error::MetaError;
use crate::map::Meta;

/// Held by whoever changes META. The lock guards no memory, so one that a panic left behind is as good as new.
static WRITER: Mutex<()> = Mutex::new(());

/// The META partition of this machine.
#[derive(Debug, Clone)]
pub struct MetaFile {
    path: PathBuf,
}

impl MetaFile {
    /// Names the partition; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Path of the partition.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the partition for reading and writing, as the ring of boot records needs it.
    pub fn open(&self) -> Result<File, MetaError> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(|source| MetaError::Open { path: self.path.clone(), source })
    }

    /// Reads the map.
    pub fn load(&self) -> Result<Meta, MetaError> {
        let file =
            File::open(&self.path).map_err(|source| MetaError::Open { path: self.path.clone(), source })?;
        copies::read(&file)
    }

    /// Reads the map, lets it be changed, and writes it unless it stayed the same or the change failed. What was
    /// written is on the medium when this returns.
    pub fn update<R>(&self, change: impl FnOnce(&mut Meta) -> Result<R, MetaError>) -> Result<R, MetaError> {
        let _writer = lock();
        let file = self.open()?;
        let before = copies::read(&file)?;
        let mut after = before.clone();
        let answer = change(&mut after)?;
        if after != before {
            copies::write(&file, &after)?;
        }
        Ok(answer)
    }

    /// Begins with an empty map where both copies are damaged, since nothing could be written down any more. Tells
    /// whether that was so.
    pub fn mend(&self) -> Result<bool, MetaError> {
        let _writer = lock();
        let file = self.open()?;
        match copies::read(&file) {
            Err(MetaError::Damaged { .. }) => copies::write(&file, &Meta::default()).map(|()| true),
            other => other.map(|_| false),
        }
    }
}

fn lock() -> MutexGuard<'static, ()> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PARTITION_SIZE;

    fn partition() -> (tempfile::TempDir, MetaFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("META");
        File::create(&path).unwrap().set_len(PARTITION_SIZE).unwrap();
        (directory, MetaFile::new(path))
    }

    #[test]
    fn a_change_is_there_for_the_next_reader() {
        let (_directory, file) = partition();
        file.update(|meta| meta.set_json("test.number", &7)).unwrap();
        assert_eq!(file.load().unwrap().get_json::<u32>("test.number").unwrap(), Some(7));
    }

    #[test]
    fn a_change_that_fails_or_changes_nothing_writes_nothing() {
        let (_directory, file) = partition();
        file.update(|meta| meta.set_json("test.number", &7)).unwrap();
        let before = std::fs::read(file.path()).unwrap();
        let refused = file.update(|meta| {
            meta.set_json("test.number", &8)?;
            meta.set_json("Not A Key", &8)
        });
        assert!(matches!(refused, Err(MetaError::Key { .. })));
        file.update(|meta| meta.set_json("test.number", &7)).unwrap();
        assert!(std::fs::read(file.path()).unwrap() == before);
    }

    #[test]
    fn changes_from_many_threads_are_all_kept() {
        let (_directory, file) = partition();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        file.update(|meta| {
                            let count = meta.get_json::<u32>("test.count")?.unwrap_or_default();
                            meta.set_json("test.count", &(count + 1))
                        })
                        .unwrap();
                    }
                });
            }
        });
        assert_eq!(file.load().unwrap().get_json::<u32>("test.count").unwrap(), Some(40));
    }

    #[test]
    fn a_partition_that_is_not_there_is_named() {
        let error = MetaFile::new("/nowhere/META").load().unwrap_err();
        assert_eq!(error.to_string(), "open the META partition /nowhere/META");
    }

    #[test]
    fn two_damaged_copies_are_mended_and_others_stay() {
        let (_directory, file) = partition();
        std::fs::write(file.path(), vec![0xff; usize::try_from(PARTITION_SIZE).unwrap()]).unwrap();
        assert!(matches!(file.update(|_| Ok(())), Err(MetaError::Damaged { .. })));
        assert!(file.mend().unwrap());
        assert!(file.load().unwrap().is_empty());
        file.update(|meta| meta.set_json("test.number", &7)).unwrap();
        assert!(!file.mend().unwrap());
        assert_eq!(file.load().unwrap().get_json::<u32>("test.number").unwrap(), Some(7));
    }
}
