//! Checks a kernel's configuration against what Kubernetes and our hardening need.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// What is asked of a kernel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// One entry an option.
    #[serde(rename = "option")]
    pub options: Vec<Requirement>,
}

/// What is asked of one option.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The option, without `CONFIG_`.
    pub name: String,
    /// Values that will do: `y`, `m`, `n` for not set, or a text or number.
    pub want: Vec<String>,
    /// Who needs it.
    pub reason: String,
    /// A wish that is reported and does not fail the build.
    #[serde(default)]
    pub optional: bool,
}

/// An option that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The option, without `CONFIG_`.
    pub name: String,
    /// What the kernel has.
    pub found: String,
    /// What would do.
    pub want: Vec<String>,
    /// Who needs it.
    pub reason: String,
    /// Whether it is only a wish.
    pub optional: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let want = self.want.join(" or ");
        write!(f, "CONFIG_{} is {}, not {want}: {}", self.name, self.found, self.reason)
    }
}

/// Compares the text of a `/boot/config-*` file with the requirements.
pub fn check(config: &str, requirements: &Requirements) -> Vec<Finding> {
    let options: BTreeMap<&str, &str> = config
        .lines()
        .filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let found = |requirement: &Requirement| *options.get(requirement.name.as_str()).unwrap_or(&"n");
    requirements
        .options
        .iter()
        .filter(|requirement| !requirement.want.iter().any(|want| want == found(requirement)))
        .map(|requirement| Finding {
            name: requirement.name.clone(),
            found: found(requirement).to_owned(),
            want: requirement.want.clone(),
            reason: requirement.reason.clone(),
            optional: requirement.optional,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str =
        "CONFIG_CGROUPS=y\n# CONFIG_DEVMEM is not set\nCONFIG_VXLAN=m\nCONFIG_HASH=\"sha256\"\n";

    fn findings(name: &str, want: &[&str]) -> Vec<Finding> {
        let want = want.iter().map(|&value| value.to_owned()).collect();
        let option = Requirement { name: name.to_owned(), want, reason: "test".to_owned(), optional: false };
        check(CONFIG, &Requirements { options: vec![option] })
    }

    #[test]
    fn an_option_is_met_by_any_of_its_values() {
        assert!(findings("CGROUPS", &["y"]).is_empty());
        assert!(findings("VXLAN", &["y", "m"]).is_empty());
        assert!(findings("DEVMEM", &["n"]).is_empty());
        assert!(findings("HASH", &["sha256"]).is_empty());
    }

    #[test]
    fn an_unmet_option_says_what_is_there_and_why_it_matters() {
        let finding = &findings("VXLAN", &["y"])[0];
        assert_eq!(finding.to_string(), "CONFIG_VXLAN is m, not y: test");
        assert_eq!(findings("DEVMEM", &["y", "m"])[0].found, "n");
        assert_eq!(findings("CGROUPS", &["n"]).len(), 1);
        assert_eq!(findings("CGROUP", &["y"]).len(), 1, "a prefix is another option");
    }

    #[test]
    fn the_requirements_of_the_image_are_well_formed() {
        let text = include_str!("../../../kernel/config-check.toml");
        let requirements: Requirements = toml::from_str(text).unwrap();
        assert!(
            requirements.options.iter().all(|option| !option.want.is_empty() && !option.reason.is_empty())
        );
    }
}
