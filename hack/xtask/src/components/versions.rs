//! `components/versions.toml`: which upstream programs there are, of which version, built how.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Versions {
    /// In the order in which they are built.
    #[serde(rename = "component")]
    pub components: Vec<Component>,
}

/// One upstream project.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    /// Its folder in `components/`.
    pub name: String,
    /// Version of its modules, with the leading `v`.
    pub version: String,
    /// The Go modules that it comes from.
    pub modules: Vec<String>,
    /// SPDX licence expression of the project itself.
    pub licence: String,
    /// Whether C code is linked.
    #[serde(default)]
    pub cgo: bool,
    /// Go build tags of all its programs.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Linker flags, with `{version}`, `{major}` and `{minor}` to be filled in.
    #[serde(default)]
    pub ldflags: Vec<String>,
    /// What is built.
    #[serde(rename = "program")]
    pub programs: Vec<Program>,
}

/// One program of a component.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// Its file name.
    pub name: String,
    /// Go package, seen from the component's folder.
    pub package: String,
    /// Where it goes.
    pub place: Place,
    /// Further build tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Other names that it is started under.
    #[serde(default)]
    pub links: Vec<String>,
}

/// Where a program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// The root image of a node.
    Node,
    /// A container image inside the root image.
    Container,
    /// The operator's machine, beside osctl.
    Operator,
}

impl Versions {
    /// Reads the file of a checkout.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let path = root.join("components/versions.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("parse {}", path.display()))
    }

    /// Reads and checks the text of the file.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let versions: Self = toml::from_str(text)?;
        for component in &versions.components {
            component.version_parts()?;
            ensure!(!component.programs.is_empty(), "{} has no program", component.name);
            ensure!(!component.modules.is_empty(), "{} has no module", component.name);
        }
        let mut names: Vec<&str> = versions.names().collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        ensure!(twice.is_none(), "two programs are named {}", twice.unwrap_or_default()[0]);
        Ok(versions)
    }

    /// Every name that a program is started under.
    fn names(&self) -> impl Iterator<Item = &str> {
        let programs = self.components.iter().flat_map(|component| &component.programs);
        programs.flat_map(|program| std::iter::once(&program.name).chain(&program.links)).map(String::as_str)
    }
}

impl Component {
    /// The linker flags of its programs, as one argument of `go build`.
    pub(crate) fn linker_flags(&self) -> Result<String> {
        let (major, minor) = self.version_parts()?;
        // Without symbols, debug information and a build id, which would differ between folders.
        let mut flags = String::from("-s -w -buildid=");
        for flag in &self.ldflags {
            flags.push(' ');
            flags.push_str(flag);
        }
        Ok(flags.replace("{version}", &self.version).replace("{major}", major).replace("{minor}", minor))
    }

    /// The tags of one of its programs, as one argument of `go build`.
    pub(crate) fn build_tags(&self, program: &Program) -> String {
        let tags: Vec<&str> = self.tags.iter().chain(&program.tags).map(String::as_str).collect();
        tags.join(",")
    }

    fn version_parts(&self) -> Result<(&str, &str)> {
        let mut parts = self.version.strip_prefix('v').unwrap_or_default().split('.');
        let numbers = [parts.next(), parts.next(), parts.next()];
        match numbers {
            [Some(major), Some(minor), Some(_)] if !major.is_empty() => Ok((major, minor)),
            _ => anyhow::bail!("{}: {:?} is not a version like v1.2.3", self.name, self.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache;

    const SAMPLE: &str = r#"
        [[component]]
        name = "kubernetes"
        version = "v1.36.3"
        modules = ["k8s.io/kubernetes"]
        licence = "Apache-2.0"
        tags = ["one"]
        ldflags = ["-X v.git={version}", "-X v.major={major} -X v.minor={minor}"]

        [[component.program]]
        name = "kube"
        package = "."
        place = "node"
        tags = ["two"]
        links = ["kubelet"]
    "#;

    #[test]
    fn flags_are_filled_in() {
        let versions = Versions::parse(SAMPLE).unwrap();
        let component = &versions.components[0];
        let expected = "-s -w -buildid= -X v.git=v1.36.3 -X v.major=1 -X v.minor=36";
        assert_eq!(component.linker_flags().unwrap(), expected);
        assert_eq!(component.build_tags(&component.programs[0]), "one,two");
    }

    #[test]
    fn mistakes_are_refused() {
        let cases = [
            ("version = \"v1.36.3\"", "version = \"1.36\"", "not a version"),
            ("licence =", "license =", "unknown field `license`"),
            ("place = \"node\"", "place = \"moon\"", "unknown variant `moon`"),
            ("links = [\"kubelet\"]", "links = [\"kube\"]", "two programs are named kube"),
            ("modules = [\"k8s.io/kubernetes\"]", "modules = []", "has no module"),
        ];
        for (right, wrong, message) in cases {
            let error = Versions::parse(&SAMPLE.replace(right, wrong)).unwrap_err();
            assert!(format!("{error:#}").contains(message), "{wrong}: {error:#}");
        }
    }

    /// Which version of a module a go.mod requires.
    fn required<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
        let lines = go_mod.lines().map(|line| line.trim().trim_start_matches("require "));
        lines.filter_map(|line| line.strip_prefix(module)?.strip_prefix(' ')?.split(' ').next()).next()
    }

    #[test]
    fn each_go_mod_requires_the_version_that_is_written_here() {
        let root = cache::workspace_root();
        let versions = Versions::load(&root).unwrap();
        for component in &versions.components {
            let go_mod =
                fs::read_to_string(root.join("components").join(&component.name).join("go.mod")).unwrap();
            for module in &component.modules {
                assert_eq!(required(&go_mod, module), Some(component.version.as_str()), "{module}");
            }
        }
    }

    #[test]
    fn every_folder_with_a_go_mod_is_listed() {
        let root = cache::workspace_root();
        let mut listed: Vec<String> =
            Versions::load(&root).unwrap().components.into_iter().map(|component| component.name).collect();
        listed.sort();
        let entries = fs::read_dir(root.join("components")).unwrap().map(|entry| entry.unwrap());
        let mut folders: Vec<String> = entries
            .filter(|entry| entry.path().join("go.mod").exists())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        folders.sort();
        assert_eq!(listed, folders);
    }

    #[test]
    fn kubernetes_libraries_are_of_the_release() {
        let root = cache::workspace_root();
        let versions = Versions::load(&root).unwrap();
        let kubernetes = versions.components.iter().find(|component| component.name == "kubernetes").unwrap();
        let libraries = kubernetes.version.replacen("v1.", "v0.", 1);
        let go_mod = fs::read_to_string(root.join("components/kubernetes/go.mod")).unwrap();
        let replaced: Vec<&str> = go_mod.lines().filter(|line| line.contains(" => ")).collect();
        assert!(replaced.len() > 20, "the replace block is there");
        for line in replaced {
            assert!(line.ends_with(&format!(" {libraries}")), "{line}");
        }
    }
}
