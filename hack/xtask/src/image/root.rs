//! The root image: the tree that the manifest describes, checked, as a squashfs with its hash tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use corten_image::manifest::{LIBRARIES, Manifest, Source, Symlink};
use corten_image::tree::{Node, Tree};
use corten_image::verity::{self, RootHash};
use corten_image::{elf, lint};

use super::debian::Unpacked;
use super::programs::Programs;
use crate::cache::{self, Inputs};
use crate::components::{Components, Place};
use crate::kernel::{self, Kernel};
use crate::progress;

/// Where Debian's packages have their libraries.
const PACKAGE_LIBRARIES: &[&str] = &["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// What the manifest's entries are filled with.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// The workspace's programs.
    pub programs: &'a Programs,
    /// Upstream programs.
    pub components: &'a Components,
    /// Debian packages.
    pub packages: &'a BTreeMap<String, Unpacked>,
    /// The kernel, for its modules.
    pub kernel: &'a Kernel,
    /// What the build made itself, by the manifest's names.
    pub built: BTreeMap<&'static str, Built>,
}

/// A file that the build made.
#[derive(Debug)]
pub(crate) enum Built {
    /// On disk.
    File(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}

/// Squashfs and hash tree.
pub(crate) const IMAGE: &str = "root.img";
/// The root hash, as text.
pub(crate) const HASH: &str = "roothash";

/// A finished root image.
#[derive(Debug)]
pub(crate) struct Root {
    /// The file [`IMAGE`].
    pub image: PathBuf,
    /// The file [`HASH`].
    pub hash: PathBuf,
}

impl Root {
    /// What [`assemble`] left in a folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { image: folder.join(IMAGE), hash: folder.join(HASH) }
    }

    /// The root hash.
    pub(crate) fn hash(&self) -> Result<RootHash> {
        let text = fs::read_to_string(&self.hash).with_context(|| format!("read {}", self.hash.display()))?;
        Ok(text.trim().parse()?)
    }
}

/// Puts the tree together.
pub(crate) fn tree(manifest: &Manifest, sources: &Sources<'_>) -> Result<Tree> {
    let mut tree = Tree::default();
    check_names(manifest, sources.components)?;
    for directory in &manifest.directories {
        tree.add(&directory.path, Node::Directory { mode: directory.mode.0 })?;
    }
    for symlink in &manifest.symlinks {
        tree.add(&symlink.path, Node::Symlink { target: symlink.target.clone() })?;
    }
    for file in &manifest.files {
        let node = sources.node(&file.from, file.mode.0);
        tree.add(&file.path, node.with_context(|| format!("fill {} of the manifest", file.path))?)?;
    }
    for folder in &manifest.folders {
        ensure!(folder.build == "modules", "the build makes no folder {}", folder.build);
        for path in kernel::files(&sources.kernel.root_modules)? {
            let source = sources.kernel.root_modules.join(&path);
            tree.add(&format!("{}/{}", folder.path, path.display()), Node::Copy { mode: 0o644, source })?;
        }
    }
    add_libraries(&mut tree, manifest, sources)?;
    Ok(tree)
}

/// Every upstream program for nodes is in the manifest, with all of its names.
fn check_names(manifest: &Manifest, components: &Components) -> Result<()> {
    for program in components.at(Place::Node) {
        let source = Source::Component { component: program.name.clone() };
        let listed = manifest.files.iter().any(|file| file.from == source);
        ensure!(listed, "components/versions.toml has {} for nodes, the manifest does not", program.name);
        for link in &program.links {
            let same = |symlink: &Symlink| {
                symlink.target == program.name && symlink.path.ends_with(&format!("/{link}"))
            };
            let listed = manifest.symlinks.iter().any(same);
            ensure!(
                listed,
                "components/versions.toml starts {} as {link}, the manifest does not",
                program.name
            );
        }
    }
    Ok(())
}

impl Sources<'_> {
    fn node(&self, from: &Source, mode: u32) -> Result<Node> {
        let source = match from {
            Source::Cargo { cargo } => self.programs.path(cargo),
            Source::Component { component } => self.components.program(component)?.path.clone(),
            Source::Package { package, file } => self.package(package)?.root.join(file),
            Source::Build { build } => match self.built.get(build.as_str()) {
                Some(Built::File(path)) => path.clone(),
                Some(Built::Bytes(contents)) => return Ok(Node::Bytes { mode, contents: contents.clone() }),
                None => bail!("the build makes nothing called {build}"),
            },
        };
        let source = source.canonicalize().with_context(|| format!("find {}", source.display()))?;
        Ok(Node::Copy { mode, source })
    }

    fn package(&self, name: &str) -> Result<&Unpacked> {
        self.packages.get(name).with_context(|| format!("package {name} was not fetched"))
    }
}

/// Adds what the programs in the tree need, and what that needs in turn.
fn add_libraries(tree: &mut Tree, manifest: &Manifest, sources: &Sources<'_>) -> Result<()> {
    let mut left: Vec<(String, PathBuf)> = tree
        .nodes()
        .filter_map(|(path, node)| match node {
            Node::Copy { source, .. } if !path.ends_with(".ko") => Some((path.to_owned(), source.clone())),
            _ => None,
        })
        .collect();
    let mut added = BTreeSet::new();
    while let Some((path, source)) = left.pop() {
        let contents = fs::read(&source).with_context(|| format!("read {}", source.display()))?;
        if !elf::is_elf(&contents) {
            continue;
        }
        for name in elf::needs(&contents).with_context(|| format!("look at {path}"))?.libraries {
            if name.starts_with("ld-linux") || added.contains(&name) {
                continue;
            }
            let library = manifest.libraries.iter().find(|library| library.name == name);
            let library =
                library.with_context(|| format!("{path} needs {name}, which the manifest does not list"))?;
            let found = find_library(&sources.package(&library.package)?.root, &name)?;
            let target = format!("{LIBRARIES}/{name}");
            tree.add(&target, Node::Copy { mode: 0o644, source: found.clone() })?;
            left.push((target, found));
            added.insert(name);
        }
    }
    let unused: Vec<&str> = manifest
        .libraries
        .iter()
        .map(|library| library.name.as_str())
        .filter(|&name| !added.contains(name))
        .collect();
    ensure!(unused.is_empty(), "the manifest lists libraries that nothing needs: {}", unused.join(", "));
    Ok(())
}

fn find_library(root: &Path, name: &str) -> Result<PathBuf> {
    let candidates = PACKAGE_LIBRARIES.iter().map(|folder| root.join(folder).join(name));
    let found = candidates.into_iter().find_map(|path| path.canonicalize().ok());
    found.with_context(|| format!("{} has no {name}", root.display()))
}

/// How hard an image is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// For what ships.
    Good,
    /// For what only tests see: 7% larger in a sixth of the time.
    Quick,
}

impl Compression {
    /// The level of zstd. 15 would make what ships 7% smaller, and take eight times as long; unpacking is as fast.
    fn level(self) -> &'static str {
        match self {
            Self::Good => "9",
            Self::Quick => "3",
        }
    }
}

/// Makes the image of a tree, unless it is there already. `step` names it in the build's output.
pub(crate) fn image(
    step: &str,
    tree: &Tree,
    manifest: &Manifest,
    epoch: u64,
    compression: Compression,
) -> Result<Root> {
    let inputs = inputs(tree)?
        .value("epoch", epoch.to_string())
        .value("mksquashfs", mksquashfs_version()?)
        .value("level", compression.level());
    let result = cache::build(step, &inputs, &[IMAGE, HASH], |result| {
        assemble(tree, manifest, epoch, compression, result)
    })?;
    Ok(Root::in_folder(&result))
}

/// Writes the image and the root hash into a folder.
pub(crate) fn assemble(
    tree: &Tree,
    manifest: &Manifest,
    epoch: u64,
    compression: Compression,
    result: &Path,
) -> Result<()> {
    let staged = tempfile::tempdir_in(result)?;
    let root = staged.path().join("root");
    fs::create_dir(&root)?;
    tree.write(&root)?;
    let violations = lint::check(&root, manifest)?;
    let lines: Vec<String> = violations.iter().map(|violation| format!("  {violation}")).collect();
    ensure!(lines.is_empty(), "the root is not as it must be:\n{}", lines.join("\n"));

    let image = result.join(IMAGE);
    progress::run("squashfs", &mut mksquashfs(&root, &image, epoch, compression))?;
    staged.close()?;
    let hash = verity::append(&image).context("make the hash tree")?;
    fs::write(result.join(HASH), format!("{hash}\n"))?;
    Ok(())
}

fn mksquashfs(root: &Path, image: &Path, epoch: u64, compression: Compression) -> Command {
    let mut command = Command::new("mksquashfs");
    command.arg(root).arg(image);
    command.args(["-noappend", "-all-root", "-no-xattrs", "-no-progress", "-quiet"]);
    command.args(["-comp", "zstd", "-Xcompression-level", compression.level(), "-b", "256K"]);
    let epoch = epoch.to_string();
    command.args(["-mkfs-time", &epoch, "-all-time", &epoch]);
    // It refuses to have the time told twice.
    command.env_remove("SOURCE_DATE_EPOCH");
    command
}

fn mksquashfs_version() -> Result<String> {
    // It exits with an error after it told its version.
    let output = Command::new("mksquashfs").arg("-version").output().context("start mksquashfs")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Everything that the image's bytes depend on.
fn inputs(tree: &Tree) -> Result<Inputs> {
    let mut inputs = Inputs::new().value("version", "4");
    for (path, node) in tree.nodes() {
        inputs = match node {
            Node::Directory { mode } => inputs.value(path, format!("directory {mode:o}")),
            Node::Symlink { target } => inputs.value(path, format!("symlink {target}")),
            Node::Bytes { mode, contents } => {
                inputs.value(path, format!("file {mode:o}")).value(path, contents)
            }
            Node::Copy { mode, source } => inputs.value(path, format!("file {mode:o}")).file(path, source)?,
        };
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [[folder]]
        path = "/usr/share/test"
        build = "test"
        reason = "test"
        [[directory]]
        path = "/proc"
        reason = "test"
    "#;

    fn tree(contents: &str) -> Tree {
        let mut tree = Tree::default();
        tree.add("/proc", Node::Directory { mode: 0o755 }).unwrap();
        for number in 0..50 {
            let contents = contents.repeat(number * 100).into_bytes();
            tree.add(&format!("/usr/share/test/{number}"), Node::Bytes { mode: 0o644, contents }).unwrap();
        }
        tree.add("/usr/share/test/link", Node::Symlink { target: "7".to_owned() }).unwrap();
        tree
    }

    fn assemble(tree: &Tree) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let manifest = Manifest::parse(MANIFEST)?;
        super::assemble(tree, &manifest, 1_000_000_000, Compression::Good, folder.path())?;
        assert_eq!(fs::read_dir(folder.path())?.count(), 2, "nothing else is left");
        Ok(fs::read(folder.path().join(IMAGE))?)
    }

    #[test]
    fn the_same_tree_makes_the_same_image_at_another_time_and_place() {
        let one = assemble(&tree("a")).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(one == assemble(&tree("a")).unwrap());
        assert!(one != assemble(&tree("b")).unwrap());
    }

    #[test]
    fn a_root_that_lint_refuses_makes_no_image() {
        let mut tree = tree("a");
        tree.add("/usr/share/test/sh", Node::Bytes { mode: 0o755, contents: b"#!/bin/x".to_vec() }).unwrap();
        let error = assemble(&tree).unwrap_err().to_string();
        assert!(error.contains("/usr/share/test/sh: is a shell"), "{error}");
    }

    #[test]
    fn the_key_of_an_image_depends_on_contents_and_modes() {
        let key = |tree: &Tree| inputs(tree).unwrap().key();
        assert_eq!(key(&tree("a")), key(&tree("a")));
        assert_ne!(key(&tree("a")), key(&tree("b")));
        let with_mode = |mode| {
            let mut tree = Tree::default();
            tree.add("/x", Node::Bytes { mode, contents: Vec::new() }).unwrap();
            key(&tree)
        };
        assert_ne!(with_mode(0o644), with_mode(0o600));
    }
}
