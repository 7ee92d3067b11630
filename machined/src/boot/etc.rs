//! The files in `/etc` that are the same on every node. Controllers render the others.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use camino::Utf8Path;
use corten_constants::{ids, paths};

/// Where the image keeps the certificates of public authorities.
const CA_BUNDLE: &str = "/usr/share/corten/ca-certificates.crt";

/// What is made, relative to the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(&'static str, String),
    Link(&'static str, &'static str),
    Directory(&'static str),
}

/// Writes everything below `etc`.
pub fn write(etc: &Utf8Path) -> io::Result<()> {
    for entry in entries() {
        match entry {
            Entry::File(name, text) => put(&etc.join(name), |path| fs::write(path, &text))?,
            Entry::Link(name, target) => put(&etc.join(name), |path| symlink(target, path))?,
            Entry::Directory(name) => fs::create_dir_all(etc.join(name))?,
        }
    }
    Ok(())
}

fn put(path: &Utf8Path, make: impl FnOnce(&Utf8Path) -> io::Result<()>) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match make(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn entries() -> Vec<Entry> {
    let cni = paths::CNI_CONF.strip_prefix("/etc/").unwrap_or("cni/net.d");
    vec![
        Entry::File("passwd", passwd()),
        Entry::File("group", group()),
        // Only files and DNS: there is no other name service on a node.
        Entry::File("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".into()),
        Entry::Link("os-release", "/usr/lib/os-release"),
        Entry::Link("mtab", "/proc/self/mounts"),
        Entry::Link("ssl/certs/ca-certificates.crt", CA_BUNDLE),
        Entry::Link("ssl/cert.pem", CA_BUNDLE),
        Entry::Directory(cni),
        Entry::Directory("kubernetes"),
    ]
}

fn passwd() -> String {
    ids::USERS.iter().fold(String::new(), |mut text, (name, id)| {
        let _ = writeln!(text, "{name}:x:{id}:{id}::/:/sbin/nologin");
        text
    })
}

fn group() -> String {
    // 5 is the group of terminals, everywhere; devpts is mounted with it.
    ids::USERS.iter().fold("tty:x:5:\n".to_owned(), |mut text, (name, id)| {
        let _ = writeln!(text, "{name}:x:{id}:");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_written_twice_without_complaint() {
        let dir = tempfile::tempdir().unwrap();
        let etc = Utf8Path::from_path(dir.path()).unwrap();
        write(etc).unwrap();
        write(etc).unwrap();
        let passwd = fs::read_to_string(etc.join("passwd")).unwrap();
        assert!(passwd.starts_with("root:x:0:0::/:/sbin/nologin\n"), "{passwd}");
        assert_eq!(fs::read_link(etc.join("os-release")).unwrap().to_str(), Some("/usr/lib/os-release"));
        assert!(etc.join("cni/net.d").is_dir());
    }

    #[test]
    fn every_user_has_a_group_of_its_number() {
        let groups = group();
        assert!(ids::USERS.iter().all(|(name, id)| groups.contains(&format!("{name}:x:{id}:\n"))));
    }
}
