//! Rules about one file.

use std::env;
use std::path::Path;

use super::Finding;

/// Lines of a Rust file; STYLE section 2.
const LINES_MAX: usize = 500;
/// Bytes of a tracked file: what is larger belongs into a build, not into the history.
const BYTES_MAX: usize = 1 << 20;

/// Marks of unfinished work. In pieces, so that this file does not break its own rule.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("unimpl", "emented!"),
    concat!("#[ign", "ore"),
];

/// The lint that keeps unsafe code out, switched off in any form: allow or expect, on an item or on a crate.
const UNSAFE: &str = concat!("(unsafe", "_code");

/// Folders that are the same on every Linux machine, so naming them tells nothing about this one.
const STANDARD: [&str; 12] =
    ["/", "/bin", "/build", "/etc", "/home", "/opt", "/root", "/run", "/src", "/tmp", "/usr", "/var"];

/// Every rule on one file.
pub(super) fn check(path: &str, text: &str, folders: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if text.len() > BYTES_MAX {
        findings.push(Finding::new(path, 0, format!("{} bytes are too many for a tracked file", text.len())));
    }
    findings.extend(folders.iter().flat_map(|folder| names_folder(path, text, folder)));
    if path.ends_with(".rs") {
        findings.extend(rust(path, text));
    }
    findings
}

fn rust(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(Finding::new(path, 1, "open the file with //! and what it keeps true"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(Finding::new(path, 0, format!("{lines} lines: split it, {LINES_MAX} are the limit")));
    }
    for (number, line) in text.lines().enumerate() {
        for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
            findings.push(Finding::new(
                path,
                number + 1,
                format!("{mark} is unfinished work: do it, or open an issue"),
            ));
        }
        if line.contains(UNSAFE) && !path.starts_with("crates/sys/") {
            findings.push(Finding::new(path, number + 1, "unsafe code lives in crates/sys only"));
        }
    }
    findings
}

/// Lines that name a folder, as itself and not as a part of another path.
fn names_folder(path: &str, text: &str, folder: &str) -> Vec<Finding> {
    let inside =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'}' | b'$');
    let names = |line: &str| {
        line.match_indices(folder).any(|(at, _)| {
            let before = at.checked_sub(1).and_then(|at| line.as_bytes().get(at));
            let after = line.as_bytes().get(at + folder.len());
            !before.is_some_and(|byte| inside(*byte))
                && after.is_none_or(|byte| !inside(*byte) || *byte == b'/')
        })
    };
    let lines = text.lines().enumerate().filter(|(_, line)| names(line));
    lines
        .map(|(number, _)| {
            Finding::new(path, number + 1, format!("names {folder}, a folder of this machine"))
        })
        .collect()
}

/// Where this checkout and its tools happen to be: no tracked file may know.
pub(super) fn folders_of_this_machine(root: &Path) -> Vec<String> {
    let tools = ["CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR", "GOPATH", "GOROOT"];
    let tools = tools.iter().filter_map(env::var_os).map(std::path::PathBuf::from);
    let near = [root.to_path_buf()].into_iter().chain(root.parent().map(Path::to_path_buf));
    let mut folders: Vec<String> = near
        .chain(tools)
        .filter_map(|folder| folder.to_str().map(str::to_owned))
        .filter(|folder| folder.starts_with('/') && !STANDARD.contains(&folder.as_str()))
        .filter(|folder| !folder.starts_with("/usr/"))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(path, text, &["/data".to_owned()]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_rule_finds_what_it_forbids() {
        let long = format!("//! Long.\n{}", "\n".repeat(LINES_MAX));
        let planted = [
            ("a.rs", "fn main() {}\n".to_owned(), "a.rs:1: open the file with //!"),
            ("a.rs", long, "a.rs: 501 lines"),
            ("a.rs", format!("//! A.\n// {}: later\n", UNFINISHED[0]), "a.rs:2: "),
            ("a.rs", format!("//! A.\n{}]\n", UNFINISHED[4]), "a.rs:2: "),
            ("osctl/a.rs", format!("//! A.\n#![expect{UNSAFE})]\n"), "unsafe code lives"),
            ("a.md", "see /data/main for\n".to_owned(), "a.md:1: names /data"),
            ("a.sh", "cd \"/data\"\n".to_owned(), "a.sh:1: names /data"),
            ("a.bin", "x".repeat(BYTES_MAX + 1), "too many for a tracked file"),
        ];
        for (path, text, message) in planted {
            let found = messages(path, &text);
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert!(found[0].contains(message), "{found:?}");
        }
    }

    #[test]
    fn what_is_in_order_is_left_alone() {
        let exempt = format!("//! A.\n#![expect{UNSAFE})]\n");
        for (path, text) in [
            ("a.rs", "//! A.\nfn main() {}\n"),
            ("crates/sys/src/a.rs", exempt.as_str()),
            ("a.md", "docs/data/x, /database, https://host/data, {root}/data and ./data\n"),
        ] {
            assert_eq!(messages(path, text), Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn a_checkout_in_a_home_folder_forbids_that_home_and_not_every_home() {
        let folders = folders_of_this_machine(Path::new("/home/me/corten"));
        assert!(folders.contains(&"/home/me".to_owned()) && folders.contains(&"/home/me/corten".to_owned()));
        assert!(!folders_of_this_machine(Path::new("/root/corten")).contains(&"/root".to_owned()));
    }
}
