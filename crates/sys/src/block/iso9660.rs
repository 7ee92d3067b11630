//! The label of an ISO 9660 file system: enough to find an install medium.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;

/// Where the first volume descriptor is, on a disc and on whatever the image was written to.
const DESCRIPTOR: u64 = 32 << 10;
/// Type, magic number and version of the primary one.
const PRIMARY: &[u8] = b"\x01CD001\x01";
/// Its volume id.
const LABEL: std::ops::Range<usize> = 40..72;

/// Label of the ISO 9660 file system on a device; `None` when there is none.
///
/// # Errors
/// When the device cannot be read: a drive without a disc, or one that is not ready yet.
pub fn label(device: &Utf8Path) -> io::Result<Option<String>> {
    let mut descriptor = [0_u8; 2048];
    match File::open(device)?.read_exact_at(&mut descriptor, DESCRIPTOR) {
        Ok(()) => Ok(parse(&descriptor)),
        // Too small to hold one.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

fn parse(descriptor: &[u8]) -> Option<String> {
    descriptor.strip_prefix(PRIMARY)?;
    Some(String::from_utf8_lossy(descriptor.get(LABEL)?).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn with(bytes: &[(u64, &[u8])], size: u64) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("device")).unwrap();
        let file = File::create(&path).unwrap();
        file.set_len(size).unwrap();
        bytes.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
        label(&path).unwrap()
    }

    #[test]
    fn the_label_is_read_without_its_padding() {
        let label = format!("{:32}", "CORTEN");
        let volume = [(DESCRIPTOR, PRIMARY), (DESCRIPTOR + 40, label.as_bytes())];
        assert_eq!(with(&volume, 64 << 10).as_deref(), Some("CORTEN"));
    }

    #[test]
    fn a_device_without_the_file_system_or_too_small_for_it_has_no_label() {
        assert_eq!(with(&[], 64 << 10), None);
        assert_eq!(with(&[], 512), None);
        assert_eq!(with(&[(DESCRIPTOR, b"\x02CD001\x01")], 64 << 10), None, "not the primary descriptor");
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        assert!(label("/no/such/device".into()).is_err());
    }
}
