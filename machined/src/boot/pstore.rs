//! What the kernel of the boot before left in the firmware's variables when it panicked.
//!
//! pstore shows each piece as a file `dmesg-*` that begins with a line such as `Panic#1 Part2`; part 1 is the end of the
//! log. Deleting a file frees the variable, of which firmware has few.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

/// Where it is mounted.
pub const DIR: &str = "/sys/fs/pstore";
/// Module and parameters that let the kernel keep its last messages in EFI variables.
pub const EFI: (&str, &str) = ("efi_pstore", "pstore_disable=0");

/// The pieces, put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    /// Lines of the log, oldest first.
    pub text: String,
    files: Vec<Utf8PathBuf>,
}

/// One file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    /// Number of the dump: an oops may come before the panic.
    dump: u32,
    /// From the end of the log, so the highest comes first.
    part: std::cmp::Reverse<u32>,
    text: String,
}

/// Reads what is there. Empty when there is nothing, or no pstore.
pub fn read(dir: &Utf8Path) -> Dump {
    let Ok(entries) = dir.read_dir_utf8() else { return Dump::default() };
    let mut files: Vec<_> =
        entries.flatten().map(|entry| entry.into_path()).filter(|path| is_log(path)).collect();
    files.sort();
    let mut pieces: Vec<_> =
        files.iter().filter_map(|path| fs::read(path).ok()).map(|bytes| piece(&bytes)).collect();
    pieces.sort();
    Dump { text: pieces.into_iter().map(|piece| piece.text).collect(), files }
}

impl Dump {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Deletes it from the firmware. The first failure is told, after all were tried.
    pub fn delete(&self) -> io::Result<()> {
        let results: Vec<_> = self.files.iter().map(fs::remove_file).collect();
        results.into_iter().collect()
    }

    /// Why the kernel went down, in its own words.
    pub fn reason(&self) -> String {
        let panic = self.text.lines().find_map(|line| Some(line.split_once("Kernel panic - ")?.1));
        panic.map_or_else(|| "kernel panic".to_owned(), |reason| format!("kernel panic: {reason}"))
    }
}

fn is_log(path: &Utf8Path) -> bool {
    path.file_name().is_some_and(|name| name.starts_with("dmesg-"))
}

/// A file without its first line, when that is the header.
fn piece(bytes: &[u8]) -> Piece {
    let text = String::from_utf8_lossy(bytes);
    let header = text.split_once('\n').and_then(|(first, rest)| Some((header(first)?, rest)));
    let ((dump, part), text) = header.unwrap_or(((0, 0), &text));
    let mut text = text.to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Piece { dump, part: std::cmp::Reverse(part), text }
}

/// `Panic#2 Part13`.
fn header(line: &str) -> Option<(u32, u32)> {
    let (_, numbers) = line.split_once('#')?;
    let (dump, part) = numbers.split_once(" Part")?;
    Some((dump.parse().ok()?, part.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_from_the_oldest_on_and_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        for (name, text) in [
            ("dmesg-efi_pstore-1", "Panic#2 Part1\n<0>[ 3.0] Kernel panic - not syncing: sysrq\n"),
            ("dmesg-efi_pstore-2", "Panic#2 Part10\n<6>[ 1.0] early"),
            ("dmesg-efi_pstore-3", "Panic#2 Part2\n<6>[ 2.0] late\n"),
            ("dmesg-efi_pstore-4", "Oops#1 Part1\n<4>[ 0.5] oops\n"),
            ("console-ramoops-0", "not a dump"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let dump = read(dir);
        let lines: Vec<_> = dump.text.lines().collect();
        assert_eq!(
            lines,
            [
                "<4>[ 0.5] oops",
                "<6>[ 1.0] early",
                "<6>[ 2.0] late",
                "<0>[ 3.0] Kernel panic - not syncing: sysrq"
            ]
        );
        assert_eq!(dump.reason(), "kernel panic: not syncing: sysrq");
        dump.delete().unwrap();
        assert!(read(dir).is_empty());
        assert!(dir.join("console-ramoops-0").exists());
    }

    #[test]
    fn without_a_pstore_there_is_nothing() {
        assert!(read("/no/such/pstore".into()).is_empty());
        assert_eq!(Dump::default().reason(), "kernel panic");
    }
}
