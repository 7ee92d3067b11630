//! Looking into files, and filling a file system.

use crate::Outcome;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

/// Prints every file at or below `path` that holds `text`; exit code 1 when there is none, as grep does.
pub(crate) fn grep(path: &str, text: &str) -> Outcome {
    let mut found = Vec::new();
    search(Path::new(path), text.as_bytes(), &mut found)?;
    for file in &found {
        println!("{file}");
    }
    Ok(if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn search(path: &Path, text: &[u8], found: &mut Vec<String>) -> std::io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_dir() {
        for entry in path.read_dir()? {
            search(&entry?.path(), text, found)?;
        }
    } else if metadata.is_file() && contains(&std::fs::read(path)?, text) {
        found.push(path.display().to_string());
    }
    Ok(())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// Writes a file and returns once it is on the disk.
pub(crate) fn write(file: &str, text: &str) -> Outcome {
    let mut file = File::create(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes `DIRECTORY/filler` until the file system takes no more byte.
pub(crate) fn fill(directory: &str) -> Outcome {
    let path = Path::new(directory).join("filler");
    let mut file = File::create(&path)?;
    let mut chunk = vec![0x5a; 1 << 20];
    let mut size = 0_u64;
    loop {
        match file.write(&chunk) {
            Ok(written) => size += written as u64,
            // The last megabyte may fit in parts.
            Err(error) if error.kind() == ErrorKind::StorageFull && chunk.len() > 1 => {
                chunk.truncate(chunk.len() / 2);
            }
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            Err(error) => return Err(error.into()),
        }
    }
    file.sync_all()?;
    println!("{size} bytes in {}", path.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grep_finds_text_in_binary_files_below_a_folder() {
        let root = std::env::temp_dir().join(format!("workload-grep-{}", std::process::id()));
        std::fs::create_dir_all(root.join("deep")).unwrap();
        std::fs::write(root.join("deep/db"), b"\0\xff\0top-secret\0").unwrap();
        std::fs::write(root.join("other"), b"top-secre").unwrap();
        let mut found = Vec::new();
        search(&root, b"top-secret", &mut found).unwrap();
        assert_eq!(found, [root.join("deep/db").display().to_string()]);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn nothing_contains_the_empty_text() {
        assert!(!contains(b"abc", b""));
    }
}
