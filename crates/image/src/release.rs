//! What an image calls itself: in its root, in the boot menu and on the install medium.

use serde::{Deserialize, Serialize};

/// What an install medium or a folder of the build holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The version of the system.
    pub version: String,
    /// What vouches for the root image, in hexadecimal.
    pub root_hash: String,
    /// The version of Kubernetes in it.
    pub kubernetes: String,
}

impl About {
    /// As a JSON document.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", serde_json::json!(self))
    }
}

/// The root's `/usr/lib/os-release`.
pub fn os_release(version: &str) -> String {
    lines(&[
        "NAME=\"Corten\"",
        "ID=corten",
        &format!("VERSION_ID={version}"),
        &format!("VERSION=\"{version}\""),
        &format!("PRETTY_NAME=\"Corten {version}\""),
        "HOME_URL=\"https://corten.dev\"",
    ])
}

/// The kernel image's own os-release: only what the boot menu shows.
///
/// With an ID or a version in it, systemd-boot would sort by these before the file name, and an older version could never
/// be started before a newer one.
pub fn menu_entry(version: &str) -> String {
    lines(&["NAME=\"Corten\"", &format!("PRETTY_NAME=\"Corten {version}\"")])
}

fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_menu_has_nothing_to_sort_by_but_the_file_name() {
        let text = menu_entry("1.2.3");
        assert_eq!(text, "NAME=\"Corten\"\nPRETTY_NAME=\"Corten 1.2.3\"\n");
        for field in ["ID=", "VERSION", "IMAGE_", "BUILD_ID", "SORT_KEY"] {
            assert!(!text.lines().any(|line| line.starts_with(field)), "{field}");
        }
        assert!(os_release("1.2.3").contains("\nVERSION_ID=1.2.3\n"));
    }
}
