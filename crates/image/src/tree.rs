//! A file system tree as it should become, independent of any disk: what is at each path, with which
//! mode. Everything belongs to root.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory {
        /// Its permissions.
        mode: u32,
    },
    /// A file with the contents of another.
    Copy {
        /// Its permissions.
        mode: u32,
        /// Where the contents are now.
        source: PathBuf,
    },
    /// A file that the build wrote itself.
    Bytes {
        /// Its permissions.
        mode: u32,
        /// Its contents.
        contents: Vec<u8>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: String,
    },
}

/// A problem with a tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Two things want the same path.
    #[error("{0} is there twice")]
    Duplicate(String),
    /// A path that does not start at the root, or that goes up.
    #[error("{0} is not an absolute, plain path")]
    Path(String),
    /// Nothing is where something should be replaced.
    #[error("{0} is not there")]
    Missing(String),
    /// A node could not be written.
    #[error("write {path} of the tree")]
    Write {
        /// The path in the tree.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
}

/// Nodes by absolute path, so that a parent comes before its children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Adds a node, and the directories above it when they are not there yet.
    pub fn add(&mut self, path: &str, node: Node) -> Result<(), TreeError> {
        let plain = path.len() > 1
            && path.starts_with('/')
            && path[1..].split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !plain {
            return Err(TreeError::Path(path.to_owned()));
        }
        for (end, _) in path.match_indices('/').skip(1) {
            self.nodes.entry(path[..end].to_owned()).or_insert(Node::Directory { mode: 0o755 });
        }
        match self.nodes.insert(path.to_owned(), node) {
            // A directory that was there because of its children gets its own mode now.
            None | Some(Node::Directory { mode: 0o755 }) => Ok(()),
            Some(_) => Err(TreeError::Duplicate(path.to_owned())),
        }
    }

    /// Puts another node where there is one already.
    pub fn replace(&mut self, path: &str, node: Node) -> Result<(), TreeError> {
        let there = self.nodes.get_mut(path).ok_or_else(|| TreeError::Missing(path.to_owned()))?;
        *there = node;
        Ok(())
    }

    /// Takes a node away. Whether there was one.
    pub fn remove(&mut self, path: &str) -> bool {
        self.nodes.remove(path).is_some()
    }

    /// Every node, by path.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Whether something is at a path.
    pub fn contains(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    /// Writes the tree into an empty folder.
    pub fn write(&self, root: &Path) -> Result<(), TreeError> {
        for (path, node) in self.nodes() {
            let written = write_node(&root.join(&path[1..]), node);
            written.map_err(|source| TreeError::Write { path: path.to_owned(), source })?;
        }
        Ok(())
    }
}

fn write_node(at: &Path, node: &Node) -> io::Result<()> {
    let mode = match node {
        Node::Directory { mode } => {
            fs::create_dir(at)?;
            *mode
        }
        Node::Copy { mode, source } => {
            fs::copy(source, at)?;
            *mode
        }
        Node::Bytes { mode, contents } => {
            fs::write(at, contents)?;
            *mode
        }
        Node::Symlink { target } => return symlink(target, at),
    };
    fs::set_permissions(at, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(contents: &str) -> Node {
        Node::Bytes { mode: 0o644, contents: contents.into() }
    }

    #[test]
    fn parents_come_by_themselves_and_take_a_mode_later() {
        let mut tree = Tree::default();
        tree.add("/root/a/b", bytes("x")).unwrap();
        tree.add("/root", Node::Directory { mode: 0o700 }).unwrap();
        let paths: Vec<_> = tree.nodes().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/root", "/root/a", "/root/a/b"]);

        let folder = tempfile::tempdir().unwrap();
        tree.add("/link", Node::Symlink { target: "root/a".into() }).unwrap();
        tree.write(folder.path()).unwrap();
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("root"), mode("root/a"), mode("root/a/b")), (0o700, 0o755, 0o644));
        assert_eq!(fs::read_to_string(folder.path().join("link/b")).unwrap(), "x");
    }

    #[test]
    fn only_what_is_there_is_replaced_or_removed() {
        let mut tree = Tree::default();
        tree.add("/a", bytes("x")).unwrap();
        tree.replace("/a", bytes("y")).unwrap();
        assert_eq!(tree.nodes().next(), Some(("/a", &bytes("y"))));
        assert!(matches!(tree.replace("/b", bytes("y")), Err(TreeError::Missing(_))));
        assert!(tree.remove("/a") && !tree.remove("/a"));
    }

    #[test]
    fn a_path_is_used_once_and_is_plain() {
        let mut tree = Tree::default();
        tree.add("/a", bytes("x")).unwrap();
        assert!(matches!(tree.add("/a", bytes("y")), Err(TreeError::Duplicate(_))));
        for path in ["/", "", "a", "/a/../b", "//a", "/a/"] {
            assert!(matches!(tree.add(path, bytes("x")), Err(TreeError::Path(_))), "{path}");
        }
    }
}
