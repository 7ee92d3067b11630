//! The closed list of what is in the root image: each entry with where it comes from, and why it is
//! there. What is not in the list does not get in, and what the list names must exist.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The whole list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Files, one by one.
    #[serde(default, rename = "file")]
    pub files: Vec<File>,
    /// Folders that the build fills, such as the kernel's modules.
    #[serde(default, rename = "folder")]
    pub folders: Vec<Folder>,
    /// Shared libraries, found by reading what the programs need.
    #[serde(default, rename = "library")]
    pub libraries: Vec<Library>,
    /// Empty directories: mount points.
    #[serde(default, rename = "directory")]
    pub directories: Vec<Directory>,
    /// Symbolic links.
    #[serde(default, rename = "symlink")]
    pub symlinks: Vec<Symlink>,
}

/// A file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it goes.
    pub path: String,
    /// Where it comes from.
    pub from: Source,
    /// Its permissions.
    #[serde(default = "program_mode")]
    pub mode: Mode,
    /// Why it is there.
    pub reason: String,
}

/// A folder that the build fills.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Where it goes.
    pub path: String,
    /// The name under which the build knows it.
    pub build: String,
    /// Why it is there.
    pub reason: String,
}

/// A shared library.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Its name, as programs ask for it.
    pub name: String,
    /// Debian's package that has it.
    pub package: String,
    /// Which programs need it.
    pub reason: String,
}

/// An empty directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Where it goes.
    pub path: String,
    /// Its permissions.
    #[serde(default = "program_mode")]
    pub mode: Mode,
    /// Why it is there.
    pub reason: String,
}

/// A symbolic link.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symlink {
    /// Where it goes.
    pub path: String,
    /// Where it points.
    pub target: String,
    /// Why it is there.
    pub reason: String,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Source {
    /// A program of this workspace.
    Cargo {
        /// Its name.
        cargo: String,
    },
    /// A program of an upstream component.
    Component {
        /// Its name.
        component: String,
    },
    /// A file of a Debian package.
    Package {
        /// The package.
        package: String,
        /// The path in it, without a leading slash.
        file: String,
    },
    /// A file that the build makes.
    Build {
        /// The name under which the build knows it.
        build: String,
    },
}

/// Permissions, written in octal as a string: `"0644"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mode(pub u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => Err(format!(
                "`{text}` is not a mode: three octal digits, without setuid, setgid and sticky bits"
            )),
        }
    }
}

fn program_mode() -> Mode {
    Mode(0o755)
}

/// Why a manifest is not used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not TOML of this form.
    #[error("the manifest does not parse")]
    Parse(#[from] toml::de::Error),
    /// A path is listed twice.
    #[error("the manifest lists {0} twice")]
    Duplicate(String),
    /// An entry does not say why it is there.
    #[error("the manifest gives no reason for {0}")]
    NoReason(String),
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        let mut seen = BTreeSet::new();
        for (name, reason) in manifest.entries() {
            if !seen.insert(name) {
                return Err(ManifestError::Duplicate(name.to_owned()));
            }
            if reason.trim().is_empty() {
                return Err(ManifestError::NoReason(name.to_owned()));
            }
        }
        Ok(manifest)
    }

    /// The Debian packages that files and libraries come from.
    pub fn packages(&self) -> BTreeSet<&str> {
        let files = self.files.iter().filter_map(|file| match &file.from {
            Source::Package { package, .. } => Some(package.as_str()),
            _ => None,
        });
        files.chain(self.libraries.iter().map(|library| library.package.as_str())).collect()
    }

    /// Whether the list allows something at this path. Folders on the way to an entry are allowed.
    pub fn allows(&self, path: &str) -> bool {
        let below =
            |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let library = path.strip_prefix(LIBRARIES).and_then(|rest| rest.strip_prefix('/'));
        self.paths().any(|entry| entry == path || below(entry, path))
            || self.folders.iter().any(|folder| below(path, &folder.path))
            || path == LIBRARIES
            || below(LIBRARIES, path)
            || library.is_some_and(|name| self.libraries.iter().any(|library| library.name == name))
    }

    /// Every path that the list names, other than those of libraries.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|file| file.path.as_str());
        let folders = self.folders.iter().map(|folder| folder.path.as_str());
        let directories = self.directories.iter().map(|directory| directory.path.as_str());
        let symlinks = self.symlinks.iter().map(|symlink| symlink.path.as_str());
        files.chain(folders).chain(directories).chain(symlinks)
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().map(|file| (file.path.as_str(), file.reason.as_str()));
        let folders = self.folders.iter().map(|folder| (folder.path.as_str(), folder.reason.as_str()));
        let libraries = self.libraries.iter().map(|library| (library.name.as_str(), library.reason.as_str()));
        let directories = self.directories.iter().map(|entry| (entry.path.as_str(), entry.reason.as_str()));
        let symlinks = self.symlinks.iter().map(|symlink| (symlink.path.as_str(), symlink.reason.as_str()));
        files.chain(folders).chain(libraries).chain(directories).chain(symlinks)
    }
}

/// Where shared libraries go: the folder that Debian's dynamic linker looks into first.
pub const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
        [[file]]
        path = "/usr/bin/nft"
        from = { package = "nftables", file = "usr/sbin/nft" }
        reason = "kube-proxy"
        [[file]]
        path = "/usr/lib/os-release"
        from = { build = "os-release" }
        mode = "0644"
        reason = "what this is"
        [[folder]]
        path = "/usr/lib/modules"
        build = "modules"
        reason = "drivers"
        [[library]]
        name = "libc.so.6"
        package = "libc6"
        reason = "nft"
        [[directory]]
        path = "/tmp"
        reason = "mount point"
    "#;

    #[test]
    fn only_what_is_listed_is_allowed() {
        let manifest = Manifest::parse(SAMPLE).unwrap();
        let libc = format!("{LIBRARIES}/libc.so.6");
        for path in
            ["/usr/bin/nft", "/usr/bin", "/usr", "/usr/lib/modules/6.12/x.ko", "/tmp", LIBRARIES, &libc]
        {
            assert!(manifest.allows(path), "{path}");
        }
        let libm = format!("{LIBRARIES}/libm.so.6");
        for path in ["/usr/bin/sh", "/usr/bin/nft2", "/us", "/tmp/one", "/usr/lib/modules2", &libm] {
            assert!(!manifest.allows(path), "{path}");
        }
    }

    #[test]
    fn packages_come_from_files_and_libraries() {
        let manifest = Manifest::parse(SAMPLE).unwrap();
        assert_eq!(manifest.packages(), BTreeSet::from(["libc6", "nftables"]));
        assert_eq!((manifest.files[0].mode, manifest.files[1].mode), (Mode(0o755), Mode(0o644)));
    }

    #[test]
    fn a_bad_entry_is_refused() {
        let parse = |text: &str| Manifest::parse(text).unwrap_err().to_string();
        let entry = "[[directory]]\npath = \"/x\"\nreason = \"y\"\n";
        assert!(parse(&entry.repeat(2)).contains("/x twice"));
        assert!(parse(&entry.replace("\"y\"", "\" \"")).contains("no reason for /x"));
        assert!(Manifest::parse(&format!("{entry}mode = \"4755\"")).is_err(), "setuid");
        assert!(Manifest::parse(&format!("{entry}mdoe = \"755\"")).is_err(), "typing error");
    }

    #[test]
    fn the_manifest_of_the_image_is_well_formed() {
        let manifest = Manifest::parse(include_str!("../manifest.toml")).unwrap();
        assert!(manifest.allows("/usr/bin/machined") && !manifest.allows("/usr/bin/sh"));
    }
}
