//! Control groups, version 2.
//!
//! A [`Cgroup`] is a directory below the mount point of the unified hierarchy. Killing one kills everything in it at
//! once, however its processes forked.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

/// Where the unified hierarchy is mounted.
pub const ROOT: &str = "/sys/fs/cgroup";

/// What went wrong, on which file.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct CgroupError {
    action: &'static str,
    path: Utf8PathBuf,
    source: io::Error,
}

/// One control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup(Utf8PathBuf);

/// Bounds of a group. `None` is unlimited, or the kernel's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory_max: Option<u64>,
    /// Number of processes and threads.
    pub pids_max: Option<u64>,
    /// Share of the processors, 1 to 10000; the default is 100.
    pub cpu_weight: Option<u32>,
}

impl Cgroup {
    /// The group `name` (which may have slashes) below [`ROOT`], existing or not.
    pub fn at(name: &str) -> Self {
        Self(Utf8Path::new(ROOT).join(name.trim_start_matches('/')))
    }

    /// A group by the path of its directory.
    pub fn from_path(path: impl Into<Utf8PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its directory.
    pub fn path(&self) -> &Utf8Path {
        &self.0
    }

    /// Whether the host has the unified hierarchy at [`ROOT`].
    pub fn is_supported() -> bool {
        Utf8Path::new(ROOT).join("cgroup.controllers").exists()
    }

    /// Makes the directory, with its parents.
    pub fn create(&self) -> Result<(), CgroupError> {
        fs::create_dir_all(&self.0).map_err(self.failed("create cgroup", ""))
    }

    /// Hands every controller that this group has down to its children.
    pub fn delegate_all(&self) -> Result<(), CgroupError> {
        let controllers = self.read("cgroup.controllers")?;
        let mut result = Ok(());
        for name in controllers.split_whitespace() {
            // One at a time: a controller that cannot be handed down must not keep back the others.
            result = result.and(self.write("cgroup.subtree_control", &format!("+{name}")));
        }
        result
    }

    /// Sets the bounds; a bound that is absent is lifted.
    pub fn set_limits(&self, limits: &Limits) -> Result<(), CgroupError> {
        self.write("memory.max", &or_max(limits.memory_max))?;
        self.write("pids.max", &or_max(limits.pids_max))?;
        self.write("cpu.weight", &limits.cpu_weight.unwrap_or(100).clamp(1, 10_000).to_string())
    }

    /// Kills every process in the group and below, atomically.
    pub fn kill(&self) -> Result<(), CgroupError> {
        self.write("cgroup.kill", "1")
    }

    /// Whether a live process is in the group or below it.
    pub fn populated(&self) -> Result<bool, CgroupError> {
        Ok(is_populated(&self.read("cgroup.events")?))
    }

    /// Process ids in the group itself.
    pub fn procs(&self) -> Result<Vec<i32>, CgroupError> {
        let text = self.read("cgroup.procs")?;
        Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }

    /// Bytes of memory that the group uses now.
    pub fn memory_current(&self) -> Result<u64, CgroupError> {
        let text = self.read("memory.current")?;
        let invalid =
            |e| self.failed("parse", "memory.current")(io::Error::new(io::ErrorKind::InvalidData, e));
        text.trim().parse().map_err(invalid)
    }

    /// How often the kernel killed a process of this group for want of memory.
    pub fn oom_kills(&self) -> Result<u64, CgroupError> {
        Ok(value_of(&self.read("memory.events")?, "oom_kill").unwrap_or(0))
    }

    /// Removes the group and the empty groups below it; one that is not there is fine.
    pub fn remove(&self) -> Result<(), CgroupError> {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let (true, Ok(path)) = (is_dir, Utf8PathBuf::from_path_buf(entry.path())) {
                Self(path).remove()?;
            }
        }
        match fs::remove_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(self.failed("remove cgroup", "")),
        }
    }

    fn read(&self, file: &str) -> Result<String, CgroupError> {
        fs::read_to_string(self.0.join(file)).map_err(self.failed("read", file))
    }

    fn write(&self, file: &str, value: &str) -> Result<(), CgroupError> {
        // Never create: on anything but cgroup2 that would leave a plain file behind.
        let opened = fs::OpenOptions::new().write(true).open(self.0.join(file));
        opened
            .and_then(|mut f| io::Write::write_all(&mut f, value.as_bytes()))
            .map_err(self.failed("write", file))
    }

    fn failed(&self, action: &'static str, file: &str) -> impl Fn(io::Error) -> CgroupError + use<> {
        let path = if file.is_empty() { self.0.clone() } else { self.0.join(file) };
        move |source| CgroupError { action, path: path.clone(), source }
    }
}

fn or_max(value: Option<u64>) -> String {
    value.map_or_else(|| "max".to_owned(), |n| n.to_string())
}

fn is_populated(events: &str) -> bool {
    value_of(events, "populated") == Some(1)
}

/// Value of `key` in a file of `key value` lines.
fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_by_key() {
        assert!(is_populated("populated 1\nfrozen 0\n"));
        assert!(!is_populated("populated 0\nfrozen 1\n"));
        assert_eq!(value_of("oom 3\noom_kill 2\noom_group_kill 1\n", "oom_kill"), Some(2));
    }

    #[test]
    fn an_error_names_the_file() {
        let error = Cgroup::from_path("/no/such/group").kill().unwrap_err();
        assert_eq!(error.to_string(), "write /no/such/group/cgroup.kill");
    }
}
