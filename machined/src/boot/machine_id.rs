//! The identity of this machine: made once, kept on STATE, shown in `/etc/machine-id`.
//!
//! It is not the host name, and it does not change with the image.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;

const FILE: &str = "machine-id";
const DIGITS: usize = 32;

/// Reads the id from STATE, or makes it; writes it to `etc` too, and answers it.
pub fn ensure(state: &Utf8Path, etc: &Utf8Path) -> io::Result<String> {
    let kept = fs::read_to_string(state.join(FILE)).ok().and_then(|text| valid(&text));
    let id = match kept {
        Some(id) => id,
        None => {
            let id = generate()?;
            keep(state, &id)?;
            id
        }
    };
    fs::write(etc.join(FILE), format!("{id}\n"))?;
    Ok(id)
}

fn valid(text: &str) -> Option<String> {
    let id = text.trim();
    let is_id = id.len() == DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_id && id.bytes().any(|byte| byte != b'0')).then(|| id.to_owned())
}

/// A random UUID without dashes, as machine-id(5) asks.
fn generate() -> io::Result<String> {
    let mut bytes = corten_sys::system::random::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Complete or not at all, also when the power fails.
fn keep(state: &Utf8Path, id: &str) -> io::Result<()> {
    let temporary = state.join(".machine-id.new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o444).open(&temporary)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, state.join(FILE))?;
    File::open(state)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once_and_kept() {
        let (state, etc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (state, etc) =
            (Utf8Path::from_path(state.path()).unwrap(), Utf8Path::from_path(etc.path()).unwrap());
        let first = ensure(state, etc).unwrap();
        assert_eq!(ensure(state, etc).unwrap(), first);
        assert_eq!(fs::read_to_string(etc.join(FILE)).unwrap(), format!("{first}\n"));
        assert_eq!(first.len(), 32);
        assert_eq!(&first[12..13], "4", "a version 4 UUID");
    }

    #[test]
    fn a_torn_or_foreign_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        for text in ["", "uninitialized", &"0".repeat(32), &"A".repeat(32)] {
            assert_eq!(valid(text), None, "{text:?}");
        }
        fs::write(dir.join(FILE), "uninitialized").unwrap();
        let etc = tempfile::tempdir().unwrap();
        assert!(valid(&ensure(dir, Utf8Path::from_path(etc.path()).unwrap()).unwrap()).is_some());
    }
}
