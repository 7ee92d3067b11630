//! Kernel modules, loaded as `depmod` describes them.
//!
//! [`Index`] is the parsed description (pure); [`Modules`] loads. Names are compared with `-` and `_` as equals, as the
//! kernel does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

mod alias;

pub use alias::matches as alias_matches;

/// `MODULE_INIT_COMPRESSED_FILE`.
const COMPRESSED: i32 = 4;

/// Why a module is not there.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Without its description nothing can be loaded.
    #[error("read {path}")]
    Index {
        /// File of depmod.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Neither a module nor an alias.
    #[error("no module called {name}")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The kernel refused it.
    #[error("load {path}")]
    Load {
        /// The module's file.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// What depmod wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Name to file and the files that it needs, the nearest first.
    modules: BTreeMap<String, (Utf8PathBuf, Vec<Utf8PathBuf>)>,
    builtin: BTreeSet<String>,
    /// Pattern and module, by the word before the first colon, which is the bus.
    aliases: BTreeMap<String, Vec<(String, String)>>,
    /// Name to modules that should be there before it.
    soft: BTreeMap<String, Vec<String>>,
}

/// Modules of the running kernel.
#[derive(Debug, Clone)]
pub struct Modules {
    dir: Utf8PathBuf,
    index: Index,
}

impl Index {
    /// Parses the texts of `modules.dep`, `modules.alias`, `modules.softdep` and `modules.builtin`.
    pub fn parse(dep: &str, alias: &str, softdep: &str, builtin: &str) -> Self {
        Self {
            modules: dep.lines().filter_map(dependency).collect(),
            aliases: by_bus(alias.lines().filter_map(alias_line)),
            soft: softdep.lines().filter_map(soft_dependency).collect(),
            builtin: builtin.lines().map(module_name).collect(),
        }
    }

    /// Modules that answer to `name`: itself, or those with a matching alias.
    pub fn resolve(&self, name: &str) -> Vec<String> {
        let plain = name.replace('-', "_");
        if self.modules.contains_key(&plain) || self.builtin.contains(&plain) {
            return vec![plain];
        }
        let buses = [bus_of(name), ANY_BUS].map(|bus| self.aliases.get(bus));
        let aliases = buses.into_iter().flatten().flatten();
        let hits = aliases.filter(|(pattern, _)| alias_matches(pattern, name));
        let unique: BTreeSet<_> = hits.map(|(_, module)| module.clone()).collect();
        unique.into_iter().collect()
    }

    /// Files to load, in order, for one module. Empty when it is built in.
    pub fn load_order(&self, name: &str) -> Option<Vec<Utf8PathBuf>> {
        let name = name.replace('-', "_");
        let mut order = Vec::new();
        self.push_order(&name, &mut order, &mut BTreeSet::new()).then_some(order)
    }

    fn push_order(&self, name: &str, order: &mut Vec<Utf8PathBuf>, seen: &mut BTreeSet<String>) -> bool {
        if self.builtin.contains(name) || !seen.insert(name.to_owned()) {
            return true;
        }
        let Some((path, needs)) = self.modules.get(name) else { return false };
        for soft in self.soft.get(name).into_iter().flatten() {
            // A soft dependency that is not shipped is not an error.
            self.push_order(soft, order, seen);
        }
        for file in needs.iter().rev().chain([path]) {
            if !order.contains(file) {
                order.push(file.clone());
            }
        }
        true
    }
}

impl Modules {
    /// Reads the description for the running kernel from `/lib/modules`.
    pub fn open() -> Result<Self, ModuleError> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        Self::at(&Utf8Path::new("/lib/modules").join(release))
    }

    /// Reads the description in `dir`.
    pub fn at(dir: &Utf8Path) -> Result<Self, ModuleError> {
        let path = dir.join("modules.dep");
        let dep = fs::read_to_string(&path).map_err(|source| ModuleError::Index { path, source })?;
        let optional = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
        let [alias, softdep, builtin] = ["modules.alias", "modules.softdep", "modules.builtin"].map(optional);
        Ok(Self { dir: dir.to_owned(), index: Index::parse(&dep, &alias, &softdep, &builtin) })
    }

    /// The description.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Loads a module by name or alias, with what it needs. Modules that are there already are fine. Answers the names
    /// that the request stands for.
    pub fn load(&self, name: &str, parameters: &str) -> Result<Vec<String>, ModuleError> {
        let modules = self.index.resolve(name);
        if modules.is_empty() {
            return Err(ModuleError::Unknown { name: name.to_owned() });
        }
        let mut result = Ok(());
        let mut loaded = false;
        for module in &modules {
            match self.load_one(module, parameters) {
                Ok(()) => loaded = true,
                Err(e) => result = Err(e),
            }
        }
        // Several modules may answer to one alias, and only one of them fit the device.
        if loaded { Ok(modules) } else { result.map(|()| modules) }
    }

    fn load_one(&self, module: &str, parameters: &str) -> Result<(), ModuleError> {
        let order = self.index.load_order(module);
        let order = order.ok_or_else(|| ModuleError::Unknown { name: module.to_owned() })?;
        let last = order.len().saturating_sub(1);
        for (position, file) in order.iter().enumerate() {
            let parameters = if position == last { parameters } else { "" };
            let path = self.dir.join(file);
            insert(&path, parameters).map_err(|source| ModuleError::Load { path, source })?;
        }
        Ok(())
    }
}

fn insert(path: &Utf8Path, parameters: &str) -> io::Result<()> {
    let file = File::open(path)?;
    let flags = if path.extension() == Some("ko") { 0 } else { COMPRESSED };
    match rustix::system::finit_module(&file, &CString::new(parameters)?, flags) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// `kernel/fs/overlayfs/overlay.ko.xz` is `overlay`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

fn dependency(line: &str) -> Option<(String, (Utf8PathBuf, Vec<Utf8PathBuf>))> {
    let (path, needs) = line.split_once(':')?;
    let needs = needs.split_whitespace().map(Utf8PathBuf::from).collect();
    Some((module_name(path), (path.into(), needs)))
}

/// The bus of patterns that do not name one, or more than one.
const ANY_BUS: &str = "*";

/// A large kernel has tens of thousands of aliases, and a boot asks for hundreds.
fn by_bus(aliases: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Vec<(String, String)>> {
    let mut result: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (pattern, module) in aliases {
        result.entry(bus_of(&pattern).to_owned()).or_default().push((pattern, module));
    }
    result
}

fn bus_of(alias: &str) -> &str {
    match alias.split_once(':') {
        Some((bus, _)) if !bus.contains(['*', '?', '[']) => bus,
        _ => ANY_BUS,
    }
}

/// `alias PATTERN MODULE`.
fn alias_line(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    (words.next()? == "alias").then_some(())?;
    Some((words.next()?.to_owned(), words.next()?.replace('-', "_")))
}

/// `softdep MODULE pre: A B post: C`; only what comes before matters to us.
fn soft_dependency(line: &str) -> Option<(String, Vec<String>)> {
    let mut words = line.split_whitespace();
    (words.next()? == "softdep").then_some(())?;
    let name = words.next()?.replace('-', "_");
    let before = words.skip_while(|word| *word != "pre:").skip(1).take_while(|word| !word.ends_with(':'));
    Some((name, before.map(|word| word.replace('-', "_")).collect()))
}

#[cfg(test)]
mod tests;
