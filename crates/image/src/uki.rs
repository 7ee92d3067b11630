//! A unified kernel image: systemd's EFI stub with the kernel and what it needs as PE sections.
//!
//! The sections are appended after the stub's own, each at a page of its own. The kernel comes last,
//! because it may use the memory behind it while it unpacks itself.

/// What goes into a unified kernel image.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// `os-release`: the name in the boot menu. See [`crate::release::menu_entry`].
    pub os_release: &'a [u8],
    /// The kernel command line.
    pub command_line: &'a [u8],
    /// The kernel's version.
    pub uname: &'a [u8],
    /// The initramfs.
    pub initramfs: &'a [u8],
    /// The kernel, with its own EFI stub.
    pub kernel: &'a [u8],
}

/// The section with [`Parts::command_line`].
pub const COMMAND_LINE: &[u8; 8] = b".cmdline";
/// The section with [`Parts::uname`].
pub const UNAME: &[u8; 8] = b".uname\0\0";
/// The section with [`Parts::initramfs`].
pub const INITRAMFS: &[u8; 8] = b".initrd\0";
/// The section with [`Parts::kernel`].
pub const KERNEL: &[u8; 8] = b".linux\0\0";

/// Why a stub cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UkiError {
    /// Not a program for 64-bit EFI.
    #[error("the stub is not a PE32+ program")]
    NotPe,
    /// A signature would not be valid any more.
    #[error("the stub is signed already")]
    Signed,
    /// The headers of the new sections do not fit before the first section.
    #[error("the stub has no room for {0} more section headers")]
    NoRoom(usize),
    /// Sizes and addresses in a PE file have 32 bits.
    #[error("the image would be larger than 4 GiB")]
    TooLarge,
    /// A part is not in the image.
    #[error("the image has no section {0}")]
    NoSection(&'static str),
}

const SECTION_HEADER: usize = 40;
/// Initialised data, readable.
const CHARACTERISTICS: u32 = 0x4000_0040;

/// Joins the stub and the parts.
pub fn build(stub: &[u8], parts: &Parts<'_>) -> Result<Vec<u8>, UkiError> {
    let sections = [
        (b".osrel\0\0", parts.os_release),
        (COMMAND_LINE, parts.command_line),
        (UNAME, parts.uname),
        (INITRAMFS, parts.initramfs),
        (KERNEL, parts.kernel),
    ];
    let headers = Headers::read(stub)?;
    headers.check_room(sections.len())?;
    let mut image = stub.to_vec();
    let mut address = headers.end_of_sections(stub)?;
    for (index, (name, contents)) in sections.into_iter().enumerate() {
        let size = u32::try_from(contents.len()).map_err(|_| UkiError::TooLarge)?;
        let file_size = align(size, headers.file_alignment)?;
        pad(&mut image, headers.file_alignment)?;
        let offset = u32::try_from(image.len()).map_err(|_| UkiError::TooLarge)?;
        let at = headers.sections + (headers.count + index) * SECTION_HEADER;
        image[at..at + SECTION_HEADER].fill(0);
        image[at..at + 8].copy_from_slice(name);
        for (field, value) in [(8, size), (12, address), (16, file_size), (20, offset), (36, CHARACTERISTICS)]
        {
            put32(&mut image, at + field, value);
        }
        image.extend_from_slice(contents);
        let end = address.checked_add(size).ok_or(UkiError::TooLarge)?;
        address = align(end, headers.section_alignment)?;
    }
    pad(&mut image, headers.file_alignment)?;
    let count =
        u16::try_from(headers.count + sections.len()).map_err(|_| UkiError::NoRoom(sections.len()))?;
    image[headers.pe + 6..headers.pe + 8].copy_from_slice(&count.to_le_bytes());
    put32(&mut image, headers.optional + 56, address); // size of the image in memory
    Ok(image)
}

/// The contents of a section of an image that [`build`] made.
pub fn section<'a>(image: &'a [u8], name: &'static [u8; 8]) -> Result<&'a [u8], UkiError> {
    let headers = Headers::read(image)?;
    let at = |index: usize| headers.sections + index * SECTION_HEADER;
    let found = (0..headers.count).map(at).find(|&at| image.get(at..at + 8) == Some(name));
    let found = found.ok_or_else(|| {
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        UkiError::NoSection(str::from_utf8(&name[..end]).unwrap_or_default())
    })?;
    let (size, offset) = (get32(image, found + 8)? as usize, get32(image, found + 20)? as usize);
    image.get(offset..offset.saturating_add(size)).ok_or(UkiError::NotPe)
}

/// Where things are in the stub. See the PE format's specification.
struct Headers {
    pe: usize,
    optional: usize,
    sections: usize,
    count: usize,
    section_alignment: u32,
    file_alignment: u32,
    size_of_headers: u32,
}

impl Headers {
    fn read(stub: &[u8]) -> Result<Self, UkiError> {
        let pe = get32(stub, 0x3c)? as usize;
        let optional = pe + 24;
        if stub.get(pe..pe + 4) != Some(b"PE\0\0") || get16(stub, optional)? != 0x20b {
            return Err(UkiError::NotPe);
        }
        // Entry 4 of the data directories is the table of certificates.
        if get32(stub, optional + 112 + 4 * 8)? != 0 {
            return Err(UkiError::Signed);
        }
        Ok(Self {
            pe,
            optional,
            sections: optional + usize::from(get16(stub, pe + 20)?),
            count: usize::from(get16(stub, pe + 6)?),
            section_alignment: get32(stub, optional + 32)?,
            file_alignment: get32(stub, optional + 36)?,
            size_of_headers: get32(stub, optional + 60)?,
        })
    }

    fn check_room(&self, more: usize) -> Result<(), UkiError> {
        let end = self.sections + (self.count + more) * SECTION_HEADER;
        if end > self.size_of_headers as usize { Err(UkiError::NoRoom(more)) } else { Ok(()) }
    }

    /// The first free address behind the stub's own sections.
    fn end_of_sections(&self, stub: &[u8]) -> Result<u32, UkiError> {
        let mut end = 0;
        for index in 0..self.count {
            let at = self.sections + index * SECTION_HEADER;
            let section_end =
                get32(stub, at + 12)?.checked_add(get32(stub, at + 8)?).ok_or(UkiError::TooLarge)?;
            end = end.max(align(section_end, self.section_alignment)?);
        }
        Ok(end)
    }
}

fn get32(bytes: &[u8], at: usize) -> Result<u32, UkiError> {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok());
    field.map(u32::from_le_bytes).ok_or(UkiError::NotPe)
}

fn get16(bytes: &[u8], at: usize) -> Result<u16, UkiError> {
    let field = bytes.get(at..at + 2).and_then(|field| field.try_into().ok());
    field.map(u16::from_le_bytes).ok_or(UkiError::NotPe)
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn align(value: u32, to: u32) -> Result<u32, UkiError> {
    value.checked_next_multiple_of(to).ok_or(UkiError::TooLarge)
}

fn pad(image: &mut Vec<u8>, to: u32) -> Result<(), UkiError> {
    let length = image.len().checked_next_multiple_of(to as usize).ok_or(UkiError::NotPe)?;
    image.resize(length, 0);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use object::read::pe::PeFile64;
    use object::{Object, ObjectSection};

    use super::*;

    /// The smallest program that has what we look at: one section at 0x1000.
    pub(crate) fn stub() -> Vec<u8> {
        let mut stub = vec![0; 0x600];
        put32(&mut stub, 0x3c, 0x40);
        stub[..2].copy_from_slice(b"MZ");
        stub[0x40..0x44].copy_from_slice(b"PE\0\0");
        stub[0x44..0x46].copy_from_slice(&0x8664_u16.to_le_bytes());
        stub[0x46] = 1; // sections
        stub[0x54] = 0xf0; // size of the optional header
        let optional = 0x58;
        stub[optional..optional + 2].copy_from_slice(&0x20b_u16.to_le_bytes());
        for (field, value) in [(32, 0x1000), (36, 0x200), (60, 0x400), (108, 16)] {
            put32(&mut stub, optional + field, value);
        }
        let section = optional + 0xf0;
        stub[section..section + 5].copy_from_slice(b".text");
        for (field, value) in [(8, 0x123), (12, 0x1000), (16, 0x200), (20, 0x400)] {
            put32(&mut stub, section + field, value);
        }
        stub
    }

    const PARTS: Parts<'static> = Parts {
        os_release: b"ID=corten\n",
        command_line: b"quiet",
        uname: b"6.12",
        initramfs: &[7; 5000],
        kernel: &[9; 70_000],
    };

    #[test]
    fn each_part_is_a_section_and_the_kernel_is_the_last() {
        let image = build(&stub(), &PARTS).unwrap();
        let file = PeFile64::parse(&*image).unwrap();
        let found: Vec<_> = file
            .sections()
            .map(|section| (section.name().unwrap().to_owned(), section.address(), section.data().unwrap()))
            .collect();
        let names: Vec<_> = found.iter().map(|section| section.0.as_str()).collect();
        assert_eq!(names, [".text", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"]);
        for (section, contents) in found[1..].iter().zip([PARTS.os_release, PARTS.command_line, PARTS.uname])
        {
            assert!(section.2.starts_with(contents));
        }
        assert!(found[4].2.starts_with(PARTS.initramfs) && found[5].2.starts_with(PARTS.kernel));
        assert!(found.windows(2).all(|pair| pair[0].1 + pair[0].2.len() as u64 <= pair[1].1), "no overlap");
        assert!(found.iter().all(|section| section.1 % 0x1000 == 0));
        assert_eq!(image.len() % 0x200, 0);
    }

    #[test]
    fn a_part_reads_back_as_it_was() {
        let image = build(&stub(), &PARTS).unwrap();
        assert_eq!(section(&image, COMMAND_LINE), Ok(PARTS.command_line));
        assert_eq!(section(&image, UNAME), Ok(PARTS.uname));
        assert!(
            section(&image, INITRAMFS) == Ok(PARTS.initramfs) && section(&image, KERNEL) == Ok(PARTS.kernel)
        );
        assert_eq!(section(&stub(), KERNEL), Err(UkiError::NoSection(".linux")));
        assert_eq!(section(&image[..0x700], KERNEL), Err(UkiError::NotPe));
        assert_eq!(section(b"", KERNEL), Err(UkiError::NotPe));
    }

    #[test]
    fn a_stub_that_cannot_be_used_is_refused() {
        assert_eq!(build(b"MZ", &PARTS), Err(UkiError::NotPe));
        assert_eq!(build(&[0; 4096], &PARTS), Err(UkiError::NotPe));
        let mut signed = stub();
        put32(&mut signed, 0x58 + 112 + 32, 0x500);
        assert_eq!(build(&signed, &PARTS), Err(UkiError::Signed));
        let mut tight = stub();
        put32(&mut tight, 0x58 + 60, 0x200);
        assert_eq!(build(&tight, &PARTS), Err(UkiError::NoRoom(5)));
    }
}
