//! Which kernel modules go where: a list of patterns with reasons, resolved against a kernel.
//!
//! A pattern is a module's name, with `*` for any run of characters. Dependencies come along. A
//! pattern that neither a module nor something built in matches is an error, because the kernel changed,
//! unless its group is optional.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The whole list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleList {
    /// What reaching the root file system needs.
    pub initramfs: Vec<Group>,
    /// What the running system needs.
    pub root: Vec<Group>,
}

/// Modules that are there for one reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Patterns of names.
    pub modules: Vec<String>,
    /// Whether they are loaded at boot; the others load when a device or a user asks for them.
    #[serde(default)]
    pub load: bool,
    /// Whether a kernel may lack them.
    #[serde(default)]
    pub optional: bool,
    /// Why they are there.
    pub reason: String,
}

/// Why a list does not fit a kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// A pattern matches nothing.
    #[error("the kernel has no module `{0}`, neither by itself nor built in")]
    Unknown(String),
    /// A module needs one that is not there.
    #[error("module {module} needs {missing}, which the kernel does not have")]
    Dependency {
        /// The module.
        module: String,
        /// What it needs.
        missing: String,
    },
}

/// The modules of a kernel.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    /// Path by name.
    paths: BTreeMap<String, String>,
    /// Paths that a path needs, directly and indirectly.
    dependencies: BTreeMap<String, Vec<String>>,
    built_in: BTreeSet<String>,
}

/// What a list comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Paths of modules, as `modules.dep` has them.
    pub paths: BTreeSet<String>,
    /// Names of the modules to load at boot, in the order of the list.
    pub load: Vec<String>,
    /// Optional patterns that match nothing.
    pub lacking: Vec<String>,
}

impl Kernel {
    /// Reads the text of `modules.dep` and `modules.builtin`.
    pub fn parse(dep: &str, built_in: &str) -> Self {
        let mut kernel = Self::default();
        for line in dep.lines() {
            let Some((path, needs)) = line.split_once(':') else { continue };
            kernel.paths.insert(name(path), path.to_owned());
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            kernel.dependencies.insert(path.to_owned(), needs);
        }
        kernel.built_in = built_in.lines().map(name).collect();
        kernel
    }

    /// Resolves patterns to modules, with all that these need.
    pub fn select(&self, groups: &[Group]) -> Result<Selection, ModuleError> {
        let mut selection = Selection::default();
        for group in groups {
            for pattern in &group.modules {
                let pattern = normal(pattern);
                let mut matched = self.built_in.iter().any(|name| matches(&pattern, name));
                for (name, path) in self.paths.iter().filter(|(name, _)| matches(&pattern, name)) {
                    matched = true;
                    self.add(path, &mut selection.paths)?;
                    if group.load && !selection.load.contains(name) {
                        selection.load.push(name.clone());
                    }
                }
                match (matched, group.optional) {
                    (true, _) => {}
                    (false, true) => selection.lacking.push(pattern),
                    (false, false) => return Err(ModuleError::Unknown(pattern)),
                }
            }
        }
        Ok(selection)
    }

    fn add(&self, path: &str, paths: &mut BTreeSet<String>) -> Result<(), ModuleError> {
        paths.insert(path.to_owned());
        for needed in self.dependencies.get(path).into_iter().flatten() {
            if !self.dependencies.contains_key(needed) {
                return Err(ModuleError::Dependency { module: path.to_owned(), missing: needed.clone() });
            }
            paths.insert(needed.clone());
        }
        Ok(())
    }
}

/// A module's name: the file's, without its endings, and with `_` for `-` as the kernel has it.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normal(file.split_once(".ko").map_or(file, |(stem, _)| stem))
}

fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|name| {
            let starts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            starts.into_iter().any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Kernel {
        let dep = "kernel/net/nf_tables.ko.xz: kernel/lib/libcrc32c.ko.xz\n\
                   kernel/net/nft_ct.ko.xz: kernel/net/nf_tables.ko.xz kernel/lib/libcrc32c.ko.xz\n\
                   kernel/lib/libcrc32c.ko.xz:\n\
                   kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n";
        Kernel::parse(dep, "kernel/fs/ext4/ext4.ko\n")
    }

    fn group(modules: &[&str], load: bool) -> Group {
        Group {
            modules: modules.iter().map(|&name| name.to_owned()).collect(),
            load,
            optional: false,
            reason: "test".to_owned(),
        }
    }

    #[test]
    fn patterns_bring_their_dependencies() {
        let selection = kernel().select(&[group(&["nft_*", "ext4"], true)]).unwrap();
        let names: Vec<_> = selection.paths.iter().map(|path| name(path)).collect();
        assert_eq!(names, ["libcrc32c", "nf_tables", "nft_ct"]);
        assert_eq!(selection.load, ["nft_ct"], "a dependency and what is built in load by themselves");
        assert!(kernel().select(&[group(&["libcrc32c"], false)]).unwrap().load.is_empty());
    }

    #[test]
    fn what_the_kernel_lacks_is_an_error() {
        let error = kernel().select(&[group(&["btrfs"], false)]).unwrap_err();
        assert_eq!(error, ModuleError::Unknown("btrfs".to_owned()));
        let optional = Group { optional: true, ..group(&["btrfs", "ext4"], false) };
        assert_eq!(kernel().select(&[optional]).unwrap().lacking, ["btrfs"]);
        let error = kernel().select(&[group(&["dm-verity"], false)]).unwrap_err();
        assert!(matches!(error, ModuleError::Dependency { .. }), "{error}");
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("nft_*", "nft_ct", true),
            ("*_ct", "nft_ct", true),
            ("n*t*t", "nft_ct", true),
            ("nft_*", "nf_tables", false),
            ("nft", "nft_ct", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_list_of_the_image_is_well_formed() {
        let list: ModuleList = toml::from_str(include_str!("../../../kernel/modules.toml")).unwrap();
        let groups = || list.initramfs.iter().chain(&list.root);
        assert!(groups().all(|group| !group.reason.is_empty() && !group.modules.is_empty()));
        assert!(groups().flat_map(|group| &group.modules).any(|name| name == "dm-verity"));
    }
}
