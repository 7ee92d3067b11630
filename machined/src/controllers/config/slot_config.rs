//! The config goes with the slot: an image that comes back finds the config that it ran with.
//!
//! Beside the generations on STATE, `slots/<root hash>` holds the config that an image had when another one was about to
//! take over, and `slots/running` names the image that ran last. When the machine comes up with another image than that,
//! its own config becomes the newest generation again; nothing is taken out of the history.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::generations::{Generation, GenerationError, Generations, durable_write};

/// Folder below that of the generations.
const FOLDER: &str = "slots";
/// File with the root hash of the image that ran last.
const RUNNING: &str = "running";

/// Keeps the config in force for the image with this root hash, since another image is about to take over.
///
/// # Errors
/// When STATE refuses it.
pub fn remember(generations: &Generations, root_hash: &str) -> Result<(), GenerationError> {
    let (Some(newest), _) = generations.newest()? else { return Ok(()) };
    let text = format!("{}\n{}", newest.number, newest.text);
    write(&folder(generations).join(root_hash), &text)
}

/// Forgets the configs of all images but this one, since an update takes the other slot: what was in that slot is gone, and
/// what comes takes over what there is, even if it ran here before.
///
/// # Errors
/// When STATE refuses it.
pub fn forget_others(generations: &Generations, root_hash: &str) -> Result<(), GenerationError> {
    let folder = folder(generations);
    let files = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files.map_err(|source| failed("read", &folder, source))?,
    };
    for path in files.filter_map(|file| Some(file.ok()?.path())) {
        if path != folder.join(RUNNING) && path != folder.join(root_hash) {
            fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
        }
    }
    Ok(())
}

/// Gives the running image its own config back when another one ran before. Answers the generation that came of it.
///
/// # Errors
/// When STATE cannot be read or refuses it.
pub fn settle(generations: &Generations, root_hash: &str) -> Result<Option<Generation>, GenerationError> {
    let folder = folder(generations);
    let last = read(&folder.join(RUNNING))?;
    if root_hash.is_empty() || last.as_deref() == Some(root_hash) {
        return Ok(None);
    }
    let own = read(&folder.join(root_hash))?;
    let own = own.as_deref().and_then(|text| text.split_once('\n')).map(|(_, text)| text);
    let restored = match (last, own) {
        (Some(last), Some(own)) => {
            // What was applied after the other image had handed over is its own too.
            if generations.newest()?.0.is_some_and(|newest| newest.text != own) {
                remember(generations, &last)?;
            }
            Some(generations.add(own)?)
        }
        (Some(last), None) => remember(generations, &last).map(|()| None)?,
        (None, _) => None,
    };
    write(&folder.join(RUNNING), root_hash)?;
    Ok(restored)
}

/// Number of the generation that an image ran with when it last handed over.
pub fn generation_of(generations: &Generations, root_hash: &str) -> Option<u64> {
    read(&folder(generations).join(root_hash)).ok()??.split_once('\n')?.0.parse().ok()
}

fn folder(generations: &Generations) -> PathBuf {
    generations.dir().join(FOLDER)
}

fn read(path: &Path) -> Result<Option<String>, GenerationError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path, source)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), GenerationError> {
    let made = fs::create_dir_all(path.parent().unwrap_or(path));
    made.and_then(|()| durable_write(path, text.as_bytes())).map_err(|source| failed("write", path, source))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> GenerationError {
    GenerationError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, Generations) {
        let dir = tempfile::tempdir().unwrap();
        let generations = Generations::new(dir.path().join("config"));
        (dir, generations)
    }

    fn newest(generations: &Generations) -> String {
        generations.newest().unwrap().0.unwrap().text
    }

    #[test]
    fn the_old_image_comes_back_with_its_old_config() {
        let (_dir, generations) = fresh();
        generations.add("a: 1\n").unwrap();
        assert_eq!(settle(&generations, "old").unwrap(), None);
        remember(&generations, "old").unwrap();
        assert_eq!(settle(&generations, "new").unwrap(), None, "the new image takes over what there is");
        generations.add("a: 2\n").unwrap();
        assert_eq!(settle(&generations, "old").unwrap().unwrap().number, 3);
        assert_eq!(newest(&generations), "a: 1\n");
        assert_eq!(generations.list().unwrap().len(), 3, "the history is whole");
    }

    #[test]
    fn a_restart_of_the_same_image_changes_nothing() {
        let (_dir, generations) = fresh();
        generations.add("a: 1\n").unwrap();
        settle(&generations, "old").unwrap();
        remember(&generations, "old").unwrap();
        generations.add("a: 2\n").unwrap();
        assert_eq!(settle(&generations, "old").unwrap(), None);
        assert_eq!(newest(&generations), "a: 2\n");
    }

    #[test]
    fn what_was_applied_after_the_handover_is_not_lost() {
        let (_dir, generations) = fresh();
        generations.add("a: 1\n").unwrap();
        settle(&generations, "old").unwrap();
        remember(&generations, "old").unwrap();
        generations.add("a: 2\n").unwrap();
        settle(&generations, "new").unwrap();
        settle(&generations, "old").unwrap();
        assert_eq!(newest(&generations), "a: 2\n");
    }

    #[test]
    fn an_update_takes_over_what_there_is_however_often_it_ran_before() {
        let (_dir, generations) = fresh();
        generations.add("a: 1\n").unwrap();
        for image in ["old", "new", "old"] {
            settle(&generations, image).unwrap();
            remember(&generations, image).unwrap();
        }
        generations.add("a: 3\n").unwrap();
        remember(&generations, "old").unwrap();
        forget_others(&generations, "old").unwrap();
        forget_others(&generations, "old").unwrap();
        settle(&generations, "new").unwrap();
        assert_eq!(newest(&generations), "a: 3\n");
    }

    #[test]
    fn only_the_images_of_the_two_slots_have_a_config() {
        let (_dir, generations) = fresh();
        forget_others(&generations, "none yet").unwrap();
        generations.add("a: 1\n").unwrap();
        for pair in ["one", "two", "three", "four"].windows(2) {
            settle(&generations, pair[0]).unwrap();
            forget_others(&generations, pair[0]).unwrap();
            remember(&generations, pair[0]).unwrap();
            settle(&generations, pair[1]).unwrap();
        }
        let files = fs::read_dir(folder(&generations)).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [RUNNING, "three"]);
        assert_eq!(read(&folder(&generations).join(RUNNING)).unwrap().as_deref(), Some("four"));
    }

    #[test]
    fn rolling_forward_again_brings_the_newer_config_back() {
        let (_dir, generations) = fresh();
        generations.add("a: 1\n").unwrap();
        settle(&generations, "old").unwrap();
        remember(&generations, "old").unwrap();
        settle(&generations, "new").unwrap();
        generations.add("a: 2\n").unwrap();
        remember(&generations, "new").unwrap();
        settle(&generations, "old").unwrap();
        assert_eq!(generation_of(&generations, "new"), Some(2));
        remember(&generations, "old").unwrap();
        settle(&generations, "new").unwrap();
        assert_eq!(newest(&generations), "a: 2\n");
    }
}
