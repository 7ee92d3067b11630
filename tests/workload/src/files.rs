//! Looking into files, copying them, and filling a file system.

use crate::Outcome;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Bytes of one read and one write of a copy.
const BLOCK: u64 = 4 << 20;

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

/// Copies the first `bytes` of a file or a disk to the beginning of another one, and prints the seconds until they are on it.
pub(crate) fn copy(from: &str, to: &str, bytes: u64) -> Outcome {
    let mut source = File::open(from)?;
    // Cutting a disk off means nothing, and a file keeps what is behind the copy.
    let mut target = File::options().write(true).create(true).truncate(false).open(to)?;
    let start = Instant::now();
    copy_blocks(&mut source, &mut target, bytes)?;
    target.sync_all()?;
    println!("{bytes} bytes in {:.3} s", start.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// A source that ends before is an error: less would have been timed than was asked for.
fn copy_blocks(source: &mut impl Read, target: &mut impl Write, bytes: u64) -> std::io::Result<()> {
    let mut block = vec![0; usize::try_from(BLOCK.min(bytes)).map_err(std::io::Error::other)?];
    let mut left = bytes;
    while left > 0 {
        block.truncate(usize::try_from(left).unwrap_or(block.len()));
        source.read_exact(&mut block)?;
        target.write_all(&block)?;
        left -= block.len() as u64;
    }
    Ok(())
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
    fn a_copy_has_exactly_the_bytes_that_were_asked_for() {
        let source: Vec<u8> = (0..BLOCK + 9).map(|at| (at % 251) as u8).collect();
        let mut target = Vec::new();
        copy_blocks(&mut source.as_slice(), &mut target, BLOCK + 5).unwrap();
        assert!(target == source[..source.len() - 4]);
        assert!(copy_blocks(&mut source.as_slice(), &mut Vec::new(), BLOCK + 10).is_err());
        copy_blocks(&mut [].as_slice(), &mut target, 0).unwrap();
    }

    #[test]
    fn nothing_contains_the_empty_text() {
        assert!(!contains(b"abc", b""));
    }
}
