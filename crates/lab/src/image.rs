//! The built image, as `cargo xtask image` leaves it in `_out`.

use crate::LabError;
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};
use std::fs;
use std::process::Command;

const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initramfs";
const CMDLINE: &str = "cmdline";
const DISK: &str = "corten.raw";
const ISO: &str = "corten.iso";

/// Kernel, initramfs, command line and disk image that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    dir: Utf8PathBuf,
    cmdline: String,
}

impl Image {
    /// The image in a folder.
    ///
    /// # Errors
    /// When a file of it is missing.
    pub fn open(dir: &Utf8Path) -> Result<Self, LabError> {
        let dir = dir.canonicalize_utf8().map_err(|_| LabError::NoImage { path: dir.to_owned() })?;
        let missing =
            [KERNEL, INITRAMFS, CMDLINE, DISK].iter().map(|name| dir.join(name)).find(|p| !p.exists());
        if let Some(path) = missing {
            return Err(LabError::NoImage { path });
        }
        let path = dir.join(CMDLINE);
        let cmdline = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
        Ok(Self { dir, cmdline: cmdline.trim().to_owned() })
    }

    /// `$CORTEN_IMAGE`, else the folder above that of this program (`_out/bin/osctl`), else `_out` in the current
    /// folder or in the nearest one above it that has it.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> Result<Self, LabError> {
        if let Ok(dir) = std::env::var("CORTEN_IMAGE") {
            return Self::open(Utf8Path::new(&dir));
        }
        let folder = |path: std::io::Result<std::path::PathBuf>| Utf8PathBuf::from_path_buf(path.ok()?).ok();
        let beside =
            folder(std::env::current_exe()).and_then(|program| Some(program.parent()?.parent()?.to_owned()));
        let here = folder(std::env::current_dir()).unwrap_or_else(|| Utf8PathBuf::from("."));
        let above = here.ancestors().map(|dir| dir.join("_out"));
        let found = beside.into_iter().chain(above).find(|dir| dir.join(DISK).exists());
        Self::open(&found.unwrap_or_else(|| here.join("_out")))
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> Utf8PathBuf {
        self.dir.join(KERNEL)
    }

    /// The initramfs.
    #[must_use]
    pub fn initramfs(&self) -> Utf8PathBuf {
        self.dir.join(INITRAMFS)
    }

    /// The disk image.
    #[must_use]
    pub fn disk(&self) -> Utf8PathBuf {
        self.dir.join(DISK)
    }

    /// The install medium.
    ///
    /// # Errors
    /// When it was not built.
    pub fn iso(&self) -> Result<Utf8PathBuf, LabError> {
        let path = self.dir.join(ISO);
        if path.exists() { Ok(path) } else { Err(LabError::NoImage { path }) }
    }

    /// The kernel's command line.
    #[must_use]
    pub fn cmdline(&self) -> &str {
        &self.cmdline
    }

    /// A hash that names this image. The command line holds the root hash, hence stands for the whole root.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn digest(&self) -> Result<String, LabError> {
        let mut hash = Sha256::new();
        for path in [self.kernel(), self.initramfs()] {
            hash.update(Sha256::digest(fs::read(&path).map_err(LabError::file("read", &path))?));
        }
        hash.update(&self.cmdline);
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// A copy for one node, so that a later build does not change the disk under it. Hard links where the file
    /// system allows: the build replaces its files, it never writes into them.
    pub(crate) fn pin(&self, dir: &Utf8Path) -> Result<Self, LabError> {
        fs::create_dir_all(dir).map_err(LabError::file("make", dir))?;
        for name in [KERNEL, INITRAMFS, CMDLINE, DISK] {
            let (from, to) = (self.dir.join(name), dir.join(name));
            if fs::hard_link(&from, &to).is_err() {
                copy(&from, &to)?;
            }
        }
        Self::open(dir)
    }

    #[cfg(test)]
    pub(crate) fn fake(dir: &Utf8Path, cmdline: &str) -> Self {
        Self { dir: dir.to_owned(), cmdline: cmdline.to_owned() }
    }
}

/// Copies a sparse file as one.
pub(crate) fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), LabError> {
    run("cp", "coreutils", Command::new("cp").args(["--reflink=auto", "--sparse=always"]).args([from, to]))
        .map(drop)
}

/// Runs a program of this machine to its end and returns its stdout.
pub(crate) fn run(
    program: &'static str,
    package: &'static str,
    command: &mut Command,
) -> Result<String, LabError> {
    let no_program = |source| LabError::NoProgram { program, package, source };
    let output = command.stdin(std::process::Stdio::null()).output().map_err(no_program)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Program { program, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(dir: &Utf8Path) -> Image {
        for name in [KERNEL, INITRAMFS, DISK] {
            fs::write(dir.join(name), name).unwrap();
        }
        fs::write(dir.join(CMDLINE), "corten.roothash=00\n").unwrap();
        Image::open(dir).unwrap()
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Image::open(Utf8Path::from_path(dir.path()).unwrap()).unwrap_err();
        assert!(error.to_string().contains("vmlinuz is missing"), "{error}");
    }

    #[test]
    fn the_digest_follows_every_part() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let first = image(dir).digest().unwrap();
        fs::write(dir.join(CMDLINE), "corten.roothash=01\n").unwrap();
        let second = Image::open(dir).unwrap().digest().unwrap();
        fs::write(dir.join(INITRAMFS), "other").unwrap();
        let third = Image::open(dir).unwrap().digest().unwrap();
        assert!(first != second && second != third);
    }

    #[test]
    fn a_pinned_image_survives_a_new_build() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let pinned = image(dir).pin(&dir.join("node/image")).unwrap();
        fs::write(dir.join("new"), "new").unwrap();
        fs::rename(dir.join("new"), dir.join(DISK)).unwrap();
        assert_eq!(fs::read_to_string(pinned.disk()).unwrap(), DISK);
    }
}
