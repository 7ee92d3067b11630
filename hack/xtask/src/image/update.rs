//! Updates: the bundle of this build, and further versions for the tests of upgrades.
//!
//! A further version has the programs of this build and a root image whose os-release says the next patch version, so
//! that making one compiles nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use corten_bundle::SigningKey;
use corten_constants::VERSION;
use corten_image::manifest::Manifest;
use corten_image::release;
use corten_image::tree::{Node, Tree};
use corten_image::variant::{self, Variant};

use super::artifacts::bundle_name;
use super::root::{self, Compression};
use super::{Plan, programs};
use crate::cache::{self, Inputs};

/// Names the file with the key that signs; else it is [`KEY`] in `_out`.
const KEY_VARIABLE: &str = "CORTEN_SIGNING_KEY";
const KEY: &str = "keys/update.key";

/// A further version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Further {
    /// Healthy.
    Next,
    /// Whose root has no etcd.
    NoEtcd,
    /// Whose machined can be told on the kernel command line to fail, in the initramfs and in the root.
    Faults,
}

impl Further {
    /// All that tests ask for.
    pub(crate) const ALL: [Self; 3] = [Self::Next, Self::NoEtcd, Self::Faults];

    /// Its folder in `_out/update`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::NoEtcd => "no-etcd",
            Self::Faults => "faults",
        }
    }

    /// Paths of the root that it lacks.
    fn without(self) -> &'static [&'static str] {
        match self {
            Self::Next | Self::Faults => &[],
            Self::NoEtcd => &["/usr/bin/etcd", "/usr/bin/etcdutl"],
        }
    }
}

/// The key that signs this machine's builds; made when there is none.
pub(crate) fn signing_key() -> Result<SigningKey> {
    match std::env::var_os(KEY_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Ok(SigningKey::load(Path::new(&path))?),
        None => Ok(SigningKey::load_or_create(&cache::out_dir().join(KEY))?),
    }
}

/// The public half, as the root image has it.
pub(crate) fn public_key() -> Result<Vec<u8>> {
    Ok(format!("{}\n", signing_key()?.public_hex()).into_bytes())
}

/// Makes the bundle of a variant, unless it is there already. `step` names it in the build's output.
pub(crate) fn bundle(step: &str, variant: &Variant) -> Result<PathBuf> {
    let key = signing_key()?;
    let name = bundle_name(&variant.about().version);
    let inputs = Inputs::new()
        .value("version", "1")
        .value("key", key.public_hex())
        .value("about", variant.about().to_json())
        .value("uki", variant.uki()?);
    let result =
        cache::build(step, &inputs, &[&name], |result| assemble_bundle(variant, &key, &result.join(&name)))?;
    Ok(result.join(name))
}

/// Writes the bundle of a variant.
pub(crate) fn assemble_bundle(variant: &Variant, key: &SigningKey, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    variant.write_bundle(key, std::io::BufWriter::new(file))?;
    Ok(())
}

/// Makes further versions of the image in `_out`, and places each in its folder in `_out/update`.
pub(super) fn further(plan: &Plan, wanted: &[Further]) -> Result<Vec<PathBuf>> {
    wanted
        .iter()
        .map(|&one| make(plan, one).with_context(|| format!("make version {}", one.name())))
        .collect()
}

fn make(plan: &Plan, further: Further) -> Result<PathBuf> {
    let version = next_version(VERSION)?;
    let mut manifest = plan.manifest.clone();
    let mut tree = without(&plan.tree, further.without(), &mut manifest)?;
    let os_release = Node::Bytes { mode: 0o644, contents: release::os_release(&version).into_bytes() };
    tree.replace("/usr/lib/os-release", os_release)?;
    let faults = (further == Further::Faults).then(programs::with_faults).transpose()?;
    if let Some(program) = &faults {
        tree.replace("/usr/bin/machined", Node::Copy { mode: 0o755, source: program.clone() })?;
        cache::place(program, &cache::out_dir().join("test/machined-faults"))?;
    }
    let step = format!("update/{}", further.name());
    let root = root::image(&format!("{step}-root"), &tree, &manifest, plan.epoch, Compression::Quick)?;

    let variant =
        Variant::from_dir(&cache::out_dir())?.version(&version).with_root(&root.image, root.hash()?);
    let variant = match faults {
        Some(program) => variant.with_init(&fs::read(program)?)?,
        None => variant,
    };
    let folder = cache::out_dir().join("update").join(further.name());
    cache::place(&bundle(&step, &variant)?, &folder.join(bundle_name(&version)))?;
    cache::place(&root.image, &folder.join(variant::ROOT))?;
    for (name, contents) in [
        (variant::UKI, variant.uki()?),
        (variant::STUB, variant.stub().to_vec()),
        (variant::ABOUT, variant.about().to_json().into_bytes()),
    ] {
        // A new file under the name: a running test may hold the old one.
        let _ = fs::remove_file(folder.join(name));
        fs::write(folder.join(name), contents).with_context(|| format!("write {name}"))?;
    }
    Ok(folder)
}

/// A tree without some of its paths, which its manifest then does not ask for either.
fn without(tree: &Tree, paths: &[&str], manifest: &mut Manifest) -> Result<Tree> {
    let mut tree = tree.clone();
    for path in paths {
        ensure!(tree.remove(path), "the root has no {path}");
    }
    manifest.files.retain(|file| !paths.contains(&file.path.as_str()));
    manifest.symlinks.retain(|symlink| !paths.contains(&symlink.path.as_str()));
    Ok(tree)
}

/// The next patch version.
fn next_version(version: &str) -> Result<String> {
    let (start, patch) = version.rsplit_once('.').context("a version has three parts")?;
    let patch: u64 = patch.parse().with_context(|| format!("{version} is a version to be released"))?;
    Ok(format!("{start}.{}", patch + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_is_a_patch_later() {
        assert_eq!(next_version("0.1.0").unwrap(), "0.1.1");
        assert_eq!(next_version("1.22.9").unwrap(), "1.22.10");
        assert!(next_version("1.0.0-rc").is_err());
    }

    #[test]
    fn what_is_left_out_is_not_asked_for() {
        let mut tree = Tree::default();
        let text = "[[symlink]]\npath = \"/usr/bin/a\"\ntarget = \"b\"\nreason = \"test\"\n";
        let mut manifest = Manifest::parse(text).unwrap();
        tree.add("/usr/bin/a", Node::Symlink { target: "b".to_owned() }).unwrap();
        let less = without(&tree, &["/usr/bin/a"], &mut manifest).unwrap();
        assert!(!less.contains("/usr/bin/a") && manifest.symlinks.is_empty());
        assert!(without(&less, &["/usr/bin/a"], &mut manifest).is_err());
    }

    #[test]
    fn what_a_further_version_lacks_is_in_the_image() {
        let text = fs::read_to_string(cache::workspace_root().join("crates/image/manifest.toml")).unwrap();
        let manifest = Manifest::parse(&text).unwrap();
        for path in Further::ALL.iter().flat_map(|further| further.without()) {
            assert!(manifest.paths().any(|entry| entry == *path), "{path}");
        }
    }
}
