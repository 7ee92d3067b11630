//! The files of an EFI partition, as firmware and boot loader read them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use fatfs::{Dir, FileSystem, FsOptions};
use installer::entry::EntryName;
use installer::esp;

/// Files in a folder that are looked at: a damaged one may have no end.
const MAX_FILES: usize = 256;

/// What matters on it.
pub(super) struct Files {
    pub(super) loader: Option<Vec<u8>>,
    /// Those that are named as ours. Others sort behind them, or were never named in full.
    pub(super) kernel_images: Vec<(EntryName, Vec<u8>)>,
}

/// Reads all of them.
pub(super) fn read(file: &File, range: Range<u64>) -> io::Result<Files> {
    let options = FsOptions::new().update_accessed_date(false);
    let file_system = FileSystem::new(Window { file, range, position: 0 }, options)?;
    let root = file_system.root_dir();
    let loader = content(&root, esp::LOADER)?;
    let Some(folder) = found(root.open_dir(esp::ENTRIES))? else {
        return Ok(Files { loader, kernel_images: Vec::new() });
    };
    let mut kernel_images = Vec::new();
    for entry in folder.iter().take(MAX_FILES) {
        if let Ok(name) = entry?.file_name().parse::<EntryName>()
            && let Some(bytes) = content(&folder, &name.to_string())?
            // A rename makes the new name first, without content. The boot loader lists only what is a program.
            && !bytes.is_empty()
        {
            kernel_images.push((name, bytes));
        }
    }
    Ok(Files { loader, kernel_images })
}

fn content(folder: &Dir<'_, Window<'_>>, path: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = found(folder.open_file(path))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn found<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A range of a file as a stream; it refuses to be written.
struct Window<'a> {
    file: &'a File,
    range: Range<u64>,
    position: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = (self.range.end - self.range.start).saturating_sub(self.position);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..length], self.range.start + self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.range.end - self.range.start;
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
