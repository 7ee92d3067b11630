//! Further versions of the image, and the patience that they take.

use anyhow::{Context as _, Result};
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
