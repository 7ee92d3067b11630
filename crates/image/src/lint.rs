//! What a finished root must not have: a shell, an interpreter, a setuid or setgid file, a
//! world-writable file, a device, a program without its libraries, anything that is not in the
//! manifest; and what it must have: everything that is in the manifest.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::elf;
use crate::manifest::{LIBRARIES, Manifest};

/// Programs that read commands.
const SHELLS: &[&str] = &[
    "ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "mksh", "nu", "rbash", "sash", "sh",
    "tcsh", "toybox", "xonsh", "yash", "zsh",
];
/// Programs that run programs which a user may bring along. Compared without a version at the end.
const INTERPRETERS: &[&str] = &[
    "awk", "bpftrace", "bun", "deno", "erl", "expect", "gawk", "gdb", "guile", "java", "js", "julia", "lua",
    "luajit", "mawk", "nawk", "node", "nodejs", "perl", "php", "pypy", "python", "raku", "ruby", "tclsh",
    "wish",
];
/// Folders in which programs look for libraries, and in which those have to be.
const LIBRARY_FOLDERS: &[&str] = &[LIBRARIES, "/usr/lib64"];

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub path: String,
    /// What.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A shell.
    Shell,
    /// An interpreter.
    Interpreter,
    /// A file that names an interpreter.
    Script,
    /// A setuid or setgid file or directory.
    SetId,
    /// Something that everyone may write.
    WorldWritable,
    /// A device, socket or FIFO.
    Special,
    /// Not in the manifest.
    NotListed,
    /// In the manifest, and not there.
    Missing,
    /// A link that leads nowhere.
    DanglingLink,
    /// A program whose shared library is not there.
    NoLibrary(String),
    /// A program whose dynamic linker is not there.
    NoLinker(String),
    /// An ELF file that cannot be read.
    BrokenElf,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match &self.problem {
            Problem::Shell => write!(f, "is a shell"),
            Problem::Interpreter => write!(f, "is an interpreter"),
            Problem::Script => write!(f, "is a script"),
            Problem::SetId => write!(f, "is setuid or setgid"),
            Problem::WorldWritable => write!(f, "can be written by everyone"),
            Problem::Special => write!(f, "is a device, socket or FIFO"),
            Problem::NotListed => write!(f, "is not in the manifest"),
            Problem::Missing => write!(f, "is in the manifest but not in the root"),
            Problem::DanglingLink => write!(f, "is a link that leads nowhere"),
            Problem::NoLibrary(name) => write!(f, "needs {name}, which is not in the root"),
            Problem::NoLinker(name) => write!(f, "needs the dynamic linker {name}, which is not in the root"),
            Problem::BrokenElf => write!(f, "is not a sound ELF file"),
        }
    }
}

/// Looks at everything below `root`.
pub fn check(root: &Path, manifest: &Manifest) -> io::Result<Vec<Violation>> {
    let mut lint = Lint { root, manifest, seen: BTreeSet::new(), violations: Vec::new() };
    lint.folder(root)?;
    for path in manifest.paths() {
        if !lint.seen.contains(path) {
            lint.report(path, Problem::Missing);
        }
    }
    lint.violations.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(lint.violations)
}

struct Lint<'a> {
    root: &'a Path,
    manifest: &'a Manifest,
    seen: BTreeSet<String>,
    violations: Vec<Violation>,
}

impl Lint<'_> {
    fn report(&mut self, path: &str, problem: Problem) {
        self.violations.push(Violation { path: path.to_owned(), problem });
    }

    fn folder(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let at = entry?.path();
            let path = format!("/{}", at.strip_prefix(self.root).unwrap_or(&at).to_string_lossy());
            let metadata = at.symlink_metadata()?;
            self.node(&path, &at, &metadata)?;
            self.seen.insert(path);
            if metadata.is_dir() {
                self.folder(&at)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, path: &str, at: &Path, metadata: &Metadata) -> io::Result<()> {
        if !self.manifest.allows(path) {
            self.report(path, Problem::NotListed);
        }
        let (kind, mode) = (metadata.file_type(), metadata.permissions().mode());
        if kind.is_symlink() {
            if self.resolve(path).is_none() {
                self.report(path, Problem::DanglingLink);
            }
        } else {
            if mode & 0o6000 != 0 {
                self.report(path, Problem::SetId);
            }
            if mode & 0o002 != 0 {
                self.report(path, Problem::WorldWritable);
            }
        }
        if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket() {
            self.report(path, Problem::Special);
        }
        if !kind.is_dir() {
            self.name(path);
        }
        if kind.is_file() {
            self.contents(path, at)?;
        }
        Ok(())
    }

    fn name(&mut self, path: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
        if SHELLS.contains(&name) {
            self.report(path, Problem::Shell);
        } else if INTERPRETERS.contains(&bare) {
            self.report(path, Problem::Interpreter);
        }
    }

    fn contents(&mut self, path: &str, at: &Path) -> io::Result<()> {
        let mut head = Vec::new();
        File::open(at)?.take(4).read_to_end(&mut head)?;
        if head.starts_with(b"#!") {
            self.report(path, Problem::Script);
        }
        // Kernel modules are ELF files that nothing links.
        if !elf::is_elf(&head) || path.ends_with(".ko") {
            return Ok(());
        }
        let Ok(needs) = elf::needs(&fs::read(at)?) else {
            self.report(path, Problem::BrokenElf);
            return Ok(());
        };
        for library in needs.libraries {
            let found =
                LIBRARY_FOLDERS.iter().any(|folder| self.resolve(&format!("{folder}/{library}")).is_some());
            if !found {
                self.report(path, Problem::NoLibrary(library));
            }
        }
        match needs.interpreter {
            Some(linker) if self.resolve(&linker).is_none() => self.report(path, Problem::NoLinker(linker)),
            _ => {}
        }
        Ok(())
    }

    /// Follows symbolic links as if `root` were `/`.
    fn resolve(&self, path: &str) -> Option<PathBuf> {
        let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut inside = PathBuf::new();
        for _ in 0..100 {
            let Some(part) = left.pop() else { return Some(self.root.join(inside)) };
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    inside.pop();
                    continue;
                }
                _ => {}
            }
            let at = self.root.join(&inside).join(&part);
            if at.symlink_metadata().ok()?.is_symlink() {
                let target = fs::read_link(at).ok()?.to_string_lossy().into_owned();
                if target.starts_with('/') {
                    inside = PathBuf::new();
                }
                left.extend(target.split('/').rev().map(str::to_owned));
            } else {
                inside.push(part);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    const MANIFEST: &str = r#"
        [[folder]]
        path = "/usr/bin"
        build = "test"
        reason = "test"
        [[library]]
        name = "libc.so.6"
        package = "libc6"
        reason = "test"
        [[symlink]]
        path = "/lib64"
        target = "usr/lib64"
        reason = "test"
        [[file]]
        path = "/usr/lib64/ld-linux-x86-64.so.2"
        from = { build = "test" }
        reason = "test"
    "#;

    /// A root that passes.
    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["usr/bin", "usr/lib64", &LIBRARIES[1..]] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("usr/lib64/ld-linux-x86-64.so.2"), "linker").unwrap();
        fs::write(root.path().join(&LIBRARIES[1..]).join("libc.so.6"), "library").unwrap();
        symlink("usr/lib64", root.path().join("lib64")).unwrap();
        root
    }

    fn problems(plant: impl FnOnce(&Path)) -> Vec<(String, Problem)> {
        let root = root();
        plant(root.path());
        let found = check(root.path(), &Manifest::parse(MANIFEST).unwrap()).unwrap();
        found.into_iter().map(|violation| (violation.path, violation.problem)).collect()
    }

    fn file(path: &'static str, contents: &'static [u8], mode: u32) -> impl FnOnce(&Path) {
        move |root| {
            fs::write(root.join(path), contents).unwrap();
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    #[test]
    fn a_clean_root_passes() {
        assert_eq!(problems(|_| ()), []);
        assert_eq!(problems(file("usr/bin/machined", b"program", 0o755)), []);
    }

    #[test]
    fn shells_interpreters_and_scripts_are_found() {
        let found = |path, contents| problems(file(path, contents, 0o755)).remove(0).1;
        assert_eq!(found("usr/bin/sh", b"x"), Problem::Shell);
        assert_eq!(found("usr/bin/busybox", b"x"), Problem::Shell);
        assert_eq!(found("usr/bin/python3.11", b"x"), Problem::Interpreter);
        assert_eq!(found("usr/bin/perl", b"x"), Problem::Interpreter);
        assert_eq!(found("usr/bin/helper", b"#!/bin/sh\n"), Problem::Script);
        let link =
            problems(|root| symlink("../lib64/ld-linux-x86-64.so.2", root.join("usr/bin/bash")).unwrap());
        assert_eq!(link, [("/usr/bin/bash".to_owned(), Problem::Shell)]);
        assert_eq!(problems(file("usr/bin/flanneld", b"x", 0o755)), [], "only whole names count");
    }

    #[test]
    fn modes_that_give_rights_away_are_found() {
        let found = |mode| problems(file("usr/bin/x", b"x", mode)).remove(0).1;
        assert_eq!(found(0o4755), Problem::SetId);
        assert_eq!(found(0o2755), Problem::SetId);
        assert_eq!(found(0o777), Problem::WorldWritable);
        let folder = problems(|root| {
            fs::set_permissions(root.join("usr/bin"), PermissionsExt::from_mode(0o777)).unwrap();
        });
        assert_eq!(folder, [("/usr/bin".to_owned(), Problem::WorldWritable)]);
    }

    #[test]
    fn sockets_are_found() {
        let found = problems(|root| drop(UnixListener::bind(root.join("usr/bin/socket")).unwrap()));
        assert_eq!(found.last().unwrap().1, Problem::Special);
    }

    #[test]
    fn what_is_not_listed_and_what_is_missing_are_found() {
        assert_eq!(problems(file("usr/extra", b"x", 0o644)), [("/usr/extra".to_owned(), Problem::NotListed)]);
        let library = problems(|root| fs::write(root.join(&LIBRARIES[1..]).join("libm.so.6"), "").unwrap());
        assert_eq!(library, [(format!("{LIBRARIES}/libm.so.6"), Problem::NotListed)]);
        let missing = problems(|root| fs::remove_file(root.join("lib64")).unwrap());
        assert_eq!(missing, [("/lib64".to_owned(), Problem::Missing)]);
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let found = problems(|root| symlink("/usr/bin/nothing", root.join("usr/bin/a")).unwrap());
        assert_eq!(found, [("/usr/bin/a".to_owned(), Problem::DanglingLink)]);
        let found = problems(|root| symlink("/lib64/ld-linux-x86-64.so.2", root.join("usr/bin/a")).unwrap());
        assert_eq!(found, []);
        // On the build machine this exists; in the root it does not.
        let found = problems(|root| symlink("/proc/self/exe", root.join("usr/bin/a")).unwrap());
        assert_eq!(found.len(), 1);
        let circle = problems(|root| symlink("a", root.join("usr/bin/a")).unwrap());
        assert_eq!(circle[0].1, Problem::DanglingLink);
    }

    #[test]
    fn a_program_without_its_libraries_or_linker_is_found() {
        let program =
            |root: &Path| fs::copy("/proc/self/exe", root.join("usr/bin/program")).map(drop).unwrap();
        let without = |remove: &str| {
            let remove = remove.to_owned();
            problems(move |root| {
                program(root);
                fs::write(root.join(&LIBRARIES[1..]).join("libgcc_s.so.1"), "").unwrap();
                fs::write(root.join(&LIBRARIES[1..]).join("libm.so.6"), "").unwrap();
                fs::remove_file(root.join(remove)).unwrap();
            })
        };
        let libc = without(&format!("{}/libc.so.6", &LIBRARIES[1..]));
        assert!(
            libc.contains(&("/usr/bin/program".to_owned(), Problem::NoLibrary("libc.so.6".to_owned()))),
            "{libc:?}"
        );
        let linker = without("usr/lib64/ld-linux-x86-64.so.2");
        let expected = Problem::NoLinker("/lib64/ld-linux-x86-64.so.2".to_owned());
        assert!(linker.contains(&("/usr/bin/program".to_owned(), expected)), "{linker:?}");
        let broken = problems(file("usr/bin/x", b"\x7fELFnot", 0o755));
        assert_eq!(broken, [("/usr/bin/x".to_owned(), Problem::BrokenElf)]);
    }
}
