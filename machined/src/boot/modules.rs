//! Kernel modules at boot: the list of the image, and the drivers of the devices that are there.
//!
//! Everything runs on plain threads, in the background: whoever needs a module before it is there asks the kernel, and
//! the kernel asks `modprobe`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use corten_sys::module::{ModuleError, Modules};
use corten_sys::uevent;
use tracing::debug;

use crate::boot::fatal::note;
use crate::errors::chain;
use crate::modprobe;

/// One name a line.
const LIST: &str = "/usr/lib/modules-load.d/corten.conf";
/// More do not help: most of the work is under one lock in the kernel.
const THREADS: usize = 2;

/// Loads modules of the running kernel, each once. Clones share their memory.
#[derive(Debug, Clone)]
pub struct Loader {
    modules: Arc<Modules>,
    tried: Arc<Mutex<BTreeSet<String>>>,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Loader {
    /// Reads the modules' description.
    pub fn open() -> Result<Self, ModuleError> {
        Ok(Self { modules: Arc::new(Modules::open()?), tried: Arc::default(), seen: Arc::default() })
    }

    /// Loads one module that the config or a controller asks for.
    pub fn load(&self, name: &str, parameters: &str) -> Result<(), ModuleError> {
        self.modules.load(name, parameters).map(drop)
    }

    /// Loads the image's list, and waits for it.
    pub fn load_list(&self) {
        let text = fs::read_to_string(LIST).unwrap_or_default();
        self.load_all(&names(&text));
    }

    /// Loads the drivers of paravirtual devices, and waits for it: whoever waits at boot waits for one of those.
    pub fn load_paravirtual(&self) {
        self.load_new(|alias| alias.starts_with("virtio:"));
    }

    /// Loads the drivers of all devices that are there, and waits for it.
    pub fn load_present(&self) {
        // What a processor could do is not what this machine needs: ciphers and hypervisors are loaded when they are used.
        self.load_new(|alias| !alias.starts_with("cpu:"));
    }

    fn load_new(&self, wanted: impl Fn(&String) -> bool) {
        let mut present = uevent::modaliases();
        present.retain(wanted);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<_> = present.difference(&seen).cloned().collect();
        seen.extend(present);
        drop(seen);
        self.load_all(&new);
    }

    /// Loads the drivers of one device.
    pub fn load_alias(&self, alias: &str) {
        for module in self.modules.index().resolve(alias) {
            if modprobe::is_denied(&module) || !self.first_time(&module) {
                continue;
            }
            match self.modules.load(&module, "") {
                Ok(_) => debug!(%module, alias, "module is loaded"),
                // A driver for hardware that is only almost there: common, and harmless.
                Err(ModuleError::Load { source, .. }) if source.raw_os_error() == Some(nix::libc::ENODEV) => {
                }
                Err(error) => note(&format!("module {module} for {alias}: {}", chain(&error))),
            }
        }
    }

    fn load_all(&self, names: &[String]) {
        let next = Mutex::new(names.iter());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    loop {
                        let name = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                        match name {
                            Some(name) => self.load_alias(name),
                            None => break,
                        }
                    }
                });
            }
        });
    }

    fn first_time(&self, module: &str) -> bool {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(module.to_owned())
    }
}

/// One name a line; `#` starts a comment.
fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_no_names() {
        assert_eq!(names("# modules\noverlay\n\n br_netfilter # Services\n"), ["overlay", "br_netfilter"]);
    }
}
