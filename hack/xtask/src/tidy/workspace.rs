//! Rules about the manifests: lints are inherited, versions are written once, `versions.toml` and the go.mods agree.

use super::{Finding, Source};

/// Every rule on the manifests among the files.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let text =
        |path: &str| sources.iter().find(|source| source.path == path).map(|source| source.text.as_str());
    let manifests = sources.iter().filter(|source| source.path.ends_with("/Cargo.toml"));
    let mut findings: Vec<Finding> =
        manifests.flat_map(|source| package(&source.path, &source.text)).collect();
    let versions = "components/versions.toml";
    match text(versions) {
        Some(versions) => findings.extend(go_versions(versions, |folder| {
            text(&format!("components/{folder}/go.mod")).map(str::to_owned)
        })),
        None => findings.push(Finding::new(versions, 0, "the file is missing")),
    }
    findings
}

/// A package inherits what the workspace decides.
fn package(path: &str, text: &str) -> Vec<Finding> {
    let manifest: toml::Table = match toml::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::new(path, 0, error.to_string())],
    };
    let inherits = |table: &str, key: &str| {
        let value =
            manifest.get(table).and_then(|table| if key.is_empty() { Some(table) } else { table.get(key) });
        value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    let mut findings = Vec::new();
    if !inherits("lints", "") {
        findings.push(Finding::new(path, 0, "inherit the lints: [lints] workspace = true"));
    }
    for key in ["version", "edition", "license", "publish", "rust-version"] {
        if !inherits("package", key) {
            findings.push(Finding::new(path, 0, format!("inherit it: {key}.workspace = true")));
        }
    }
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let dependencies = manifest.get(table).and_then(toml::Value::as_table).into_iter().flatten();
        for (name, _) in dependencies.filter(|(name, _)| !inherits(table, name)) {
            findings.push(Finding::new(
                path,
                0,
                format!("{name}: its version belongs in the workspace's Cargo.toml"),
            ));
        }
    }
    findings
}

/// Each module that a component comes from is required in the version that is written down.
fn go_versions(versions: &str, go_mod: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let path = "components/versions.toml";
    let parsed: toml::Table = match toml::from_str(versions) {
        Ok(parsed) => parsed,
        Err(error) => return vec![Finding::new(path, 0, error.to_string())],
    };
    let mut findings = Vec::new();
    let components = parsed.get("component").and_then(toml::Value::as_array).into_iter().flatten();
    for component in components {
        let field = |key| component.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        let (name, version) = (field("name"), field("version"));
        let Some(text) = go_mod(name) else {
            findings.push(Finding::new(path, 0, format!("{name} has no components/{name}/go.mod")));
            continue;
        };
        let modules = component.get("modules").and_then(toml::Value::as_array).into_iter().flatten();
        for module in modules.filter_map(toml::Value::as_str) {
            let found = required(&text, module);
            if found != Some(version) {
                let found = found.unwrap_or("nothing");
                let file = format!("components/{name}/go.mod");
                findings.push(Finding::new(
                    &file,
                    0,
                    format!("requires {module} {found}, {path} says {version}"),
                ));
            }
        }
    }
    findings
}

/// Which version of a module a go.mod requires.
fn required<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    let lines = go_mod.lines().map(|line| line.trim().trim_start_matches("require "));
    lines.filter_map(|line| line.strip_prefix(module)?.strip_prefix(' ')?.split(' ').next()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
        license.workspace = true\npublish.workspace = true\nrust-version.workspace = true\n\
        [lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";

    #[test]
    fn a_package_that_decides_for_itself_is_found() {
        assert_eq!(package("a/Cargo.toml", GOOD), []);
        let cases = [
            ("[lints]\nworkspace = true\n", "", "inherit the lints"),
            ("edition.workspace = true", "edition = \"2021\"", "edition.workspace"),
            ("serde.workspace = true", "serde = \"1\"", "serde: its version"),
            ("serde.workspace = true", "serde = { version = \"1\", features = [] }", "serde: its version"),
        ];
        for (right, wrong, message) in cases {
            let found = package("a/Cargo.toml", &GOOD.replace(right, wrong));
            assert_eq!(found.len(), 1, "{wrong}: {found:?}");
            assert!(found[0].message.contains(message), "{found:?}");
        }
        let features = "serde = { workspace = true, features = [\"rc\"] }";
        assert_eq!(package("a/Cargo.toml", &GOOD.replace("serde.workspace = true", features)), []);
    }

    #[test]
    fn a_go_mod_of_another_version_is_found() {
        let versions =
            "[[component]]\nname = \"runc\"\nversion = \"v1.5.2\"\nmodules = [\"github.com/o/runc\"]\n";
        let go_mod =
            |version: &str| Some(format!("module x\n\nrequire (\n\tgithub.com/o/runc {version}\n)\n"));
        assert_eq!(go_versions(versions, |_| go_mod("v1.5.2")), []);
        let found = go_versions(versions, |_| go_mod("v1.5.1"));
        assert!(found[0].message.contains("v1.5.1") && found[0].message.contains("v1.5.2"), "{found:?}");
        assert!(go_versions(versions, |_| Some(String::new()))[0].message.contains("nothing"));
        assert!(go_versions(versions, |_| None)[0].message.contains("no components/runc/go.mod"));
    }
}
