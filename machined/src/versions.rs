//! What this node runs, as the image and the kernel say it.

use std::sync::LazyLock;

use serde::Deserialize;

/// Where the image build writes the versions of the components.
const COMPONENTS: &str = "/usr/share/corten/components.json";

/// What the image build says about the image.
const OS_RELEASE: &str = "/usr/lib/os-release";

/// Versions of the upstream components in the image; empty where the file does not say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Components {
    /// Kubernetes.
    pub kubernetes: String,
    /// containerd.
    pub containerd: String,
    /// etcd.
    pub etcd: String,
}

/// Version of the image that runs, read once. On a machine that is not ours it is this program's own.
pub fn version() -> &'static str {
    image_version().unwrap_or(corten_constants::VERSION)
}

/// The same; `None` where no image says it, such as in the initramfs.
pub fn image_version() -> Option<&'static str> {
    static READ: LazyLock<Option<String>> = LazyLock::new(|| {
        let text = std::fs::read_to_string(OS_RELEASE).unwrap_or_default();
        os_release_version(&text)
    });
    READ.as_deref()
}

/// `VERSION_ID` of an os-release(5) that is ours.
fn os_release_version(text: &str) -> Option<String> {
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let mut values =
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim_matches(['"', '\'']));
        values.next_back().filter(|value| !value.is_empty())
    };
    value("ID").filter(|id| *id == "corten")?;
    value("VERSION_ID").map(str::to_owned)
}

/// The versions, read once.
pub fn components() -> &'static Components {
    static READ: LazyLock<Components> = LazyLock::new(|| {
        let text = std::fs::read_to_string(COMPONENTS).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    });
    &READ
}

/// Release of the running kernel.
pub fn kernel() -> String {
    line("/proc/sys/kernel/osrelease")
}

/// Changes with every boot.
pub fn boot_id() -> String {
    line("/proc/sys/kernel/random/boot_id")
}

/// Stays the same for the life of STATE. `machine-id(5)`.
pub fn machine_id() -> String {
    line("/etc/machine-id")
}

/// dm-verity root hash that the kernel command line names, empty when it names none.
pub fn root_hash() -> String {
    let cmdline = line("/proc/cmdline");
    cmdline
        .split_whitespace()
        .find_map(|word| word.strip_prefix("corten.roothash="))
        .unwrap_or_default()
        .to_owned()
}

/// Milliseconds since the kernel started.
pub fn uptime_ms() -> u64 {
    let text = line("/proc/uptime");
    let seconds: f64 = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    std::time::Duration::try_from_secs_f64(seconds)
        .map_or(0, |up| u64::try_from(up.as_millis()).unwrap_or(u64::MAX))
}

fn line(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_our_own_images_only() {
        let ours = "NAME=\"Corten\"\nID=corten\nVERSION_ID=\"1.2.3-test.1\"\n";
        assert_eq!(os_release_version(ours).as_deref(), Some("1.2.3-test.1"));
        assert_eq!(os_release_version("ID=debian\nVERSION_ID=\"13\"\n"), None);
        assert_eq!(os_release_version("ID=corten\nVERSION_ID=\n"), None);
        assert_eq!(os_release_version(""), None);
    }
}
