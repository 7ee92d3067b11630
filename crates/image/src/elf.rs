//! What an ELF program asks of the system it runs on: its interpreter and its shared libraries.

use std::collections::BTreeSet;

use object::elf::{DT_NEEDED, FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, elf};

/// Why an ELF file could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("read an ELF file: {0}")]
pub struct ElfError(object::read::Error);

/// What a program needs in order to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The dynamic linker; none for a static program and for a library.
    pub interpreter: Option<String>,
    /// Names of shared libraries.
    pub libraries: BTreeSet<String>,
}

/// Whether these bytes start an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

/// Reads what a 64-bit ELF file needs.
pub fn needs(bytes: &[u8]) -> Result<Needs, ElfError> {
    read(bytes).map_err(ElfError)
}

fn read(bytes: &[u8]) -> Result<Needs, object::read::Error> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let mut needs = Needs::default();
    let mut segments = header.program_headers(endian, bytes)?.iter();
    if let Some(segment) = segments.find(|segment| segment.p_type(endian) == PT_INTERP) {
        let path = segment.data(endian, bytes).unwrap_or_default();
        let path = path.strip_suffix(&[0]).unwrap_or(path);
        needs.interpreter = Some(String::from_utf8_lossy(path).into_owned());
    }
    let sections = header.sections(endian, bytes)?;
    if let Some((entries, strings)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, strings)?;
        for entry in entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
            let name = entry.string(endian, strings)?;
            needs.libraries.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_names_its_linker_and_libraries() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        assert!(is_elf(&program));
        let needs = needs(&program).unwrap();
        assert_eq!(needs.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert!(needs.libraries.contains("libc.so.6"), "{needs:?}");
    }

    #[test]
    fn what_is_not_elf_is_an_error() {
        assert!(!is_elf(b"#!/bin/sh"));
        assert!(needs(b"\x7fELF").is_err());
    }
}
