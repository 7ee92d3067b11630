//! Further versions of the image, and the patience that they take.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8PathBuf;
use corten_bundle::SigningKey;
use corten_image::variant::Variant;
use corten_vm_tests::{Lab, TestNode, Tool};

/// The key that signed the image under test.
pub(crate) fn key(lab: &Lab) -> Result<SigningKey> {
    Ok(SigningKey::load(lab.image().dir().join("keys/update.key").as_std_path())?)
}

/// A further version that the build left for tests.
pub(crate) fn further(lab: &Lab, name: &str) -> Result<Variant> {
    let folder = lab.image().dir().join("update").join(name);
    Variant::from_dir(folder.as_std_path()).with_context(|| format!("{folder}: cargo xtask image --next"))
}

/// A bundle of a version, in the test's folder.
pub(crate) fn bundle(lab: &Lab, name: &str, variant: &Variant) -> Result<Utf8PathBuf> {
    let path = lab.dir().join(format!("{name}.bundle"));
    std::fs::write(&path, variant.bundle(&key(lab)?)?)?;
    Ok(path)
}

/// `osctl` with the patience that boots and deadlines take.
pub(crate) fn patient(node: &TestNode) -> Tool {
    Tool { patience: node.machine().timeouts().seconds(200), ..node.osctl() }
}

/// Where a partition of the disk begins.
pub(crate) fn start_of(label: &str) -> Result<u64> {
    let layout = installer::layout::place(20 << 30)?;
    let extent = layout.into_iter().find(|extent| extent.spec.label == label);
    Ok(extent.with_context(|| format!("the layout has {label}"))?.start)
}

/// What dm-verity says of a block that is not what it was.
pub(crate) const CORRUPTED: &str = "is corrupted";
/// Where a squashfs says how long it is.
const SQUASHFS_BYTES_USED: u64 = 40;

/// Damages the last bytes of the squashfs in a slot that holds `root`: the table of ids, which every mount reads.
pub(crate) fn flip_a_byte(node: &TestNode, label: &str, root: impl AsRef<Path>) -> Result<()> {
    let image = File::open(root)?;
    let mut magic = [0; 4];
    image.read_exact_at(&mut magic, 0)?;
    ensure!(&magic == b"hsqs", "the root image is no squashfs");
    let mut used = [0; 8];
    image.read_exact_at(&mut used, SQUASHFS_BYTES_USED)?;
    let offset = u64::from_le_bytes(used) - 4;
    let mut byte = [0];
    image.read_exact_at(&mut byte, offset)?;
    Ok(node.machine().overwrite_disk(start_of(label)? + offset, 1, !byte[0])?)
}
