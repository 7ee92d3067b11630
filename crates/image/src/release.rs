//! What an image calls itself: in its root, in the boot menu, and on the EFI partition.

/// The kernel image of this sequence number and version, as a path on the EFI partition.
///
/// The boot loader sorts entries by their file names, the highest first: the sequence number decides, whatever the
/// versions are. It grows with every installation, upgrade and rollback.
pub fn entry_path(sequence: u32, version: &str) -> String {
    format!("EFI/Linux/corten-{sequence:06}-{version}.efi")
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

    #[test]
    fn a_later_sequence_number_sorts_later_whatever_the_versions_are() {
        assert_eq!(entry_path(1, "0.1.0"), "EFI/Linux/corten-000001-0.1.0.efi");
        assert!(entry_path(10, "0.1.0") > entry_path(9, "0.2.0"));
    }
}
