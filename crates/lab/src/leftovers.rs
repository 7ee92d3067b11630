//! What a killed run left behind: QEMU processes and folders.

use crate::LabError;
use crate::process::Process;
use crate::spec::files;
use camino::{Utf8Path, Utf8PathBuf};
use std::fs;

/// Kills the QEMU of every node at or below `root`. Returns the folders that had one.
#[must_use]
pub fn stop_all(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut stopped = Vec::new();
    for dir in node_folders(root) {
        if let Some(process) = Process::find(&dir.join(files::PIDFILE)) {
            process.kill_and_wait();
            tracing::info!(%dir, pid = process.pid(), "stopped a leftover QEMU");
            stopped.push(dir);
        }
    }
    stopped
}

/// Kills what runs at or below a folder, and removes it.
///
/// # Errors
/// When files stay behind.
pub fn remove(root: &Utf8Path) -> Result<(), LabError> {
    let _ = stop_all(root);
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::file("remove", root)(error))
        }
        _ => Ok(()),
    }
}

/// Folders with a pid file; at most four levels down: test, clusters, cluster, node.
fn node_folders(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![root.to_owned()];
    for _ in 0..5 {
        found.extend(level.iter().filter(|dir| dir.join(files::PIDFILE).exists()).cloned());
        let entries = level.iter().filter_map(|dir| dir.read_dir_utf8().ok()).flatten().flatten();
        let is_dir = |entry: &camino::Utf8DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        level = entries.filter(is_dir).map(camino::Utf8DirEntry::into_path).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Something that looks like a node's QEMU: a process whose command line names the pid file.
    fn impostor(dir: &Utf8Path) -> std::process::Child {
        fs::create_dir_all(dir).unwrap();
        let pidfile = dir.join(files::PIDFILE);
        let script = ["-c", "while :; do sleep 1; done", pidfile.as_str()];
        let child = Command::new("sh").args(script).stdin(Stdio::null()).spawn().unwrap();
        fs::write(&pidfile, child.id().to_string()).unwrap();
        // For a moment after exec(2) a process has no command line.
        while Process::find(&pidfile).is_none() {
            std::thread::yield_now();
        }
        child
    }

    #[test]
    fn a_killed_runs_process_and_folder_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap().join("clusters");
        let mut child = impostor(&root.join("demo/n1"));
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        remove(&root).unwrap();
        assert!(!reaper.join().unwrap().success());
        assert!(!root.exists());
        remove(&root).unwrap();
    }

    #[test]
    fn a_stale_pid_file_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        fs::create_dir(root.join("n1")).unwrap();
        fs::write(root.join("n1").join(files::PIDFILE), "1").unwrap();
        assert!(stop_all(root).is_empty());
    }
}
