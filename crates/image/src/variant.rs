//! Updates that differ from a built image in one thing: another command line, another init, another version.
//!
//! The VM tests install what must not survive, and most of it is a healthy root image with a kernel image that is wrong.
//! A variant is read from a folder that `cargo xtask image` filled (`_out`, or one below `_out/update`), changed, and put
//! together as a kernel image or as a signed update bundle, in memory and without any program.

use std::fs::{self, File};
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use corten_bundle::{BundleError, ConfigFormats, Digest, Draft, SigningKey};
use corten_constants::CONFIG_FORMAT;

use crate::cmdline::ROOT_HASH;
use crate::cpio;
use crate::release::{self, About};
use crate::uki::{self, Parts, UkiError};
use crate::verity::{ParseRootHashError, RootHash};
use semver::Version;

/// The root image, in a folder of the build.
pub const ROOT: &str = "root.img";
/// The unified kernel image.
pub const UKI: &str = "corten.efi";
/// The EFI stub that a kernel image is made with.
pub const STUB: &str = "stub.efi";
/// What is in the folder: [`About`].
pub const ABOUT: &str = "install.json";

/// The oldest version that may update to this one.
pub const MIN_VERSION: &str = "0.1.0";
/// What the image is made for.
pub const ARCHITECTURE: &str = "x86_64";
/// Compresses what replaces the init: quickly, because it is thrown away.
const LEVEL: i32 = 3;

/// Why a variant cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum VariantError {
    /// A file of the build.
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It does not say what is in the folder.
    #[error("parse {}", .0.display())]
    About(PathBuf, #[source] serde_json::Error),
    /// It names no root hash.
    #[error("the root hash of the build")]
    RootHash(#[from] ParseRootHashError),
    /// The kernel image of the build, or a new one.
    #[error("the unified kernel image")]
    Uki(#[from] UkiError),
    /// A version is not one.
    #[error("the version {0}")]
    Version(String, #[source] semver::Error),
    /// The update bundle.
    #[error("the update bundle")]
    Bundle(#[from] BundleError),
    /// The new init.
    #[error("pack the init")]
    Init(#[source] io::Error),
}

/// A version of the system, ready to be changed.
#[derive(Debug, Clone)]
pub struct Variant {
    version: String,
    kubernetes: String,
    architecture: String,
    min_version: String,
    config_formats: ConfigFormats,
    root: PathBuf,
    root_hash: RootHash,
    /// Without the root hash.
    arguments: Vec<String>,
    stub: Vec<u8>,
    uname: Vec<u8>,
    initramfs: Vec<u8>,
    kernel: Vec<u8>,
}

impl Variant {
    /// What a build left in a folder.
    pub fn from_dir(folder: &Path) -> Result<Self, VariantError> {
        let read = |name| {
            let path = folder.join(name);
            fs::read(&path).map_err(|error| VariantError::Read(path, error))
        };
        let about: About = serde_json::from_slice(&read(ABOUT)?)
            .map_err(|error| VariantError::About(folder.join(ABOUT), error))?;
        Self::new(about, &folder.join(ROOT), &read(UKI)?, read(STUB)?)
    }

    /// A root image and its kernel image, which was made with this stub.
    pub fn new(about: About, root: &Path, kernel_image: &[u8], stub: Vec<u8>) -> Result<Self, VariantError> {
        let section = |name| uki::section(kernel_image, name).map(<[u8]>::to_vec);
        let line = String::from_utf8_lossy(uki::section(kernel_image, uki::COMMAND_LINE)?);
        let arguments = line.split_whitespace().filter(|word| !word.starts_with(ROOT_HASH));
        Ok(Self {
            version: about.version,
            kubernetes: about.kubernetes,
            architecture: ARCHITECTURE.to_owned(),
            min_version: MIN_VERSION.to_owned(),
            config_formats: ConfigFormats { min: CONFIG_FORMAT, max: CONFIG_FORMAT },
            root: root.to_owned(),
            root_hash: about.root_hash.parse()?,
            arguments: arguments.map(str::to_owned).collect(),
            stub,
            uname: section(uki::UNAME)?,
            initramfs: section(uki::INITRAMFS)?,
            kernel: section(uki::KERNEL)?,
        })
    }

    /// With more kernel arguments, separated by spaces: `rdinit=/nope`.
    #[must_use]
    pub fn with_cmdline(mut self, more: &str) -> Self {
        self.arguments.extend(more.split_whitespace().map(str::to_owned));
        self
    }

    /// With a root hash that the root image may not have.
    #[must_use]
    pub fn with_root_hash(mut self, hash: RootHash) -> Self {
        self.root_hash = hash;
        self
    }

    /// With another root image, and its hash.
    #[must_use]
    pub fn with_root(mut self, image: &Path, hash: RootHash) -> Self {
        self.root = image.to_owned();
        self.root_hash = hash;
        self
    }

    /// With another program as the initramfs' `/init`. The root has its own machined still.
    pub fn with_init(mut self, program: &[u8]) -> Result<Self, VariantError> {
        // The kernel unpacks one archive after the other, and a later file replaces an earlier one.
        let packed = || -> io::Result<Vec<u8>> {
            let mut archive = cpio::Writer::new(zstd::Encoder::new(Vec::new(), LEVEL)?);
            archive.file("init", 0o755, program)?;
            archive.finish()?.finish()
        };
        self.initramfs.extend(packed().map_err(VariantError::Init)?);
        Ok(self)
    }

    /// Under another version. A node says the one of its root's os-release, which stays.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// For nodes of this version and later.
    #[must_use]
    pub fn min_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.min_version);
        self
    }

    /// For another kind of machine.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// Claims to read these formats of config documents, the oldest and the newest.
    #[must_use]
    pub fn config_formats(mut self, min: u32, max: u32) -> Self {
        self.config_formats = ConfigFormats { min, max };
        self
    }

    /// What it is, for [`ABOUT`].
    pub fn about(&self) -> About {
        About {
            version: self.version.clone(),
            root_hash: self.root_hash.to_string(),
            kubernetes: self.kubernetes.clone(),
        }
    }

    /// The root image.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The EFI stub.
    pub fn stub(&self) -> &[u8] {
        &self.stub
    }

    /// The kernel command line.
    pub fn command_line(&self) -> String {
        let mut words = self.arguments.clone();
        words.push(format!("{ROOT_HASH}{}", self.root_hash));
        words.join(" ")
    }

    /// The unified kernel image.
    pub fn uki(&self) -> Result<Vec<u8>, UkiError> {
        let (menu_entry, command_line) = (release::menu_entry(&self.version), self.command_line());
        let parts = Parts {
            os_release: menu_entry.as_bytes(),
            command_line: command_line.as_bytes(),
            uname: &self.uname,
            initramfs: &self.initramfs,
            kernel: &self.kernel,
        };
        uki::build(&self.stub, &parts)
    }

    /// The signed update bundle.
    pub fn bundle(&self, key: &SigningKey) -> Result<Vec<u8>, VariantError> {
        let mut bytes = Vec::new();
        self.write_bundle(key, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes the signed update bundle.
    pub fn write_bundle(&self, key: &SigningKey, out: impl Write) -> Result<(), VariantError> {
        let version =
            |text: &str| Version::parse(text).map_err(|error| VariantError::Version(text.to_owned(), error));
        let draft = Draft {
            version: version(&self.version)?,
            min_version: version(&self.min_version)?,
            kubernetes: self.kubernetes.clone(),
            architecture: self.architecture.clone(),
            config_formats: self.config_formats,
            root_hash: Digest::from(*self.root_hash.as_bytes()),
        };
        let root = File::open(&self.root).map_err(|error| VariantError::Read(self.root.clone(), error))?;
        corten_bundle::write(out, key, draft, root, Cursor::new(self.uki()?))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(folder: &Path) -> Variant {
        let hash = "ab".repeat(32);
        let line = format!("quiet gpt {ROOT_HASH}{hash}");
        let parts = Parts {
            os_release: b"",
            command_line: line.as_bytes(),
            uname: b"6.12",
            initramfs: b"initramfs",
            kernel: b"kernel",
        };
        let stub = uki::tests::stub();
        let about = About { version: "1.0.0".into(), root_hash: hash, kubernetes: "v1.36.3".into() };
        fs::write(folder.join(UKI), uki::build(&stub, &parts).unwrap()).unwrap();
        fs::write(folder.join(STUB), stub).unwrap();
        fs::write(folder.join(ROOT), "root").unwrap();
        fs::write(folder.join(ABOUT), about.to_json()).unwrap();
        Variant::from_dir(folder).unwrap()
    }

    #[test]
    fn a_variant_differs_in_what_was_asked_for_and_in_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let same = build(folder.path());
        let hash = "ab".repeat(32);
        assert_eq!(same.command_line(), format!("quiet gpt corten.roothash={hash}"));
        assert_eq!(same.about().kubernetes, "v1.36.3");

        let other = "cd".repeat(32);
        let changed = same.clone().with_cmdline("rdinit=/nope x").with_root_hash(other.parse().unwrap());
        let image = changed.version("1.0.1").uki().unwrap();
        let part = |name| uki::section(&image, name).unwrap();
        let line = format!("quiet gpt rdinit=/nope x corten.roothash={other}");
        assert_eq!(String::from_utf8_lossy(part(uki::COMMAND_LINE)), line);
        assert_eq!((part(uki::UNAME), part(uki::KERNEL)), (&b"6.12"[..], &b"kernel"[..]));
        assert_eq!(part(uki::INITRAMFS), b"initramfs");
        assert!(image.windows(6).any(|bytes| bytes == b"1.0.1\""));
    }

    #[test]
    fn a_bundle_says_what_the_variant_claims_and_holds_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let variant = build(folder.path()).version("1.0.1").min_version("0.9.0").config_formats(2, 3);
        let key = SigningKey::generate().unwrap();
        let bytes = variant.bundle(&key).unwrap();
        let header = corten_bundle::Header::read(&*bytes).unwrap();
        let mut trusted = corten_bundle::TrustedKeys::default();
        assert!(trusted.add_hex(&key.public_hex()));
        let manifest = header.verify(&trusted).unwrap();
        assert_eq!(
            (manifest.version.to_string(), manifest.min_version.to_string()),
            ("1.0.1".into(), "0.9.0".into())
        );
        assert_eq!(manifest.config_formats, ConfigFormats { min: 2, max: 3 });
        let payload = [&b"root"[..], &variant.uki().unwrap()].concat();
        assert!(bytes[header.len()..] == payload);
        assert!(bytes == variant.bundle(&key).unwrap(), "the same each time");
    }

    #[test]
    fn another_init_comes_after_the_one_that_it_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let image = build(folder.path()).with_init(b"another").unwrap().uki().unwrap();
        let initramfs = uki::section(&image, uki::INITRAMFS).unwrap();
        let archive = zstd::decode_all(initramfs.strip_prefix(b"initramfs").unwrap()).unwrap();
        let text = String::from_utf8_lossy(&archive);
        assert!(text.starts_with("070701") && text.contains("init\0") && text.contains("another"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Variant::from_dir(folder.path()).unwrap_err().to_string();
        assert!(error.contains("install.json"), "{error}");
    }
}
