//! containerd with its CRI plugin. <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>
//!
//! Needs neither config nor certificates, so it starts as soon as EPHEMERAL is there.

use std::path::Path;
use std::{fs, io};

use corten_constants::paths;
use corten_resources::runtime::{Directory, Probe, ServiceSpec};

use super::{Component, File, command, go_environment, health};

/// Name of the pause image, as the image build tags it.
pub const SANDBOX_IMAGE: &str = concat!("corten.dev/pause:", env!("CARGO_PKG_VERSION"));

const CONFIG: &str = "/etc/containerd/config.toml";
const REGISTRIES: &str = "/etc/containerd/certs.d";

/// A registry and where else its images can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Host name of the registry, `docker.io` for example.
    pub host: String,
    /// Endpoints to try first, in order.
    pub endpoints: Vec<Endpoint>,
    /// Whether the path in an endpoint replaces `/v2`.
    pub override_path: bool,
}

/// Where a mirror answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An `https://` or `http://` URL.
    pub url: String,
    /// PEM of the CA that signed its certificate, when it is not one that everybody knows.
    pub ca: Option<String>,
    /// Whether its certificate is not looked at.
    pub skip_verify: bool,
}

/// The container runtime of this node.
pub fn containerd(mirrors: &[Mirror]) -> Component {
    let mut files = vec![File::new(CONFIG, configuration())];
    files.extend(mirrors.iter().flat_map(hosts));
    let probe = Probe::Grpc { path: paths::CONTAINERD_SOCKET.into() };
    let service = ServiceSpec {
        command: command("containerd", vec![format!("--config={CONFIG}")]),
        directories: vec![
            Directory { path: "/var/lib/containerd".into(), mode: 0o711, uid: 0 },
            Directory { path: REGISTRIES.into(), mode: 0o755, uid: 0 },
            Directory { path: paths::CNI_CONF.into(), mode: 0o755, uid: 0 },
        ],
        environment: go_environment(&[("PATH", "/usr/bin:/usr/sbin")]),
        readiness: Some(probe.clone()),
        health: Some(health(probe, 10_000)),
        oom_score_adj: -999,
        // The shims live in this service's cgroup: pods go on while containerd restarts.
        kill_whole_cgroup: false,
        stop_timeout_ms: 5_000,
        ..ServiceSpec::default()
    };
    Component::new(files, service, "")
}

fn configuration() -> String {
    format!(
        r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = -999
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = "{socket}"

[debug]
level = "warn"

# An unpacked layer is on the disk before it counts: else a power cut leaves empty programs in images that look whole.
[plugins."io.containerd.service.v1.diff-service"]
sync_fs = true

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{SANDBOX_IMAGE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{REGISTRIES}"

[plugins."io.containerd.cri.v1.runtime"]
enable_unprivileged_ports = true
enable_unprivileged_icmp = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni_bin}"]
conf_dir = "{cni_conf}"
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "/usr/bin/runc"
SystemdCgroup = false
"#,
        socket = paths::CONTAINERD_SOCKET,
        cni_bin = paths::CNI_BIN,
        cni_conf = paths::CNI_CONF,
    )
}

/// Removes what an earlier config had for registries that `mirrors` lacks.
///
/// # Errors
/// When a folder cannot be removed.
pub fn forget_registries(mirrors: &[Mirror]) -> io::Result<()> {
    forget(Path::new(REGISTRIES), mirrors)
}

fn forget(registries: &Path, mirrors: &[Mirror]) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(registries) else { return Ok(()) };
    for entry in entries.flatten() {
        if !mirrors.iter().any(|mirror| entry.file_name() == folder(mirror)) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// containerd's name for a registry, and for all that have no folder.
fn folder(mirror: &Mirror) -> &str {
    if mirror.host == "*" { "_default" } else { &mirror.host }
}

/// Files of a registry: `hosts.toml`, and the CAs that it names.
/// <https://github.com/containerd/containerd/blob/main/docs/hosts.md>
fn hosts(mirror: &Mirror) -> Vec<File> {
    let dir = format!("{REGISTRIES}/{}", folder(mirror));
    let mut files = Vec::new();
    // The registry itself comes last by itself; only containerd knows that docker.io answers under another name.
    let mut text = String::new();
    for (n, endpoint) in mirror.endpoints.iter().enumerate() {
        text += &format!(
            "[host.\"{}\"]\ncapabilities = [\"pull\", \"resolve\"]\noverride_path = {}\n",
            endpoint.url, mirror.override_path
        );
        // Any word on TLS makes containerd try it, with an `http://` URL too.
        if endpoint.skip_verify {
            text += "skip_verify = true\n";
        }
        if let Some(ca) = &endpoint.ca {
            let path = format!("{dir}/ca-{n}.crt");
            text += &format!("ca = \"{path}\"\n");
            files.push(File::new(path, ca.clone()));
        }
    }
    files.push(File::new(format!("{dir}/hosts.toml"), text));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(host: &str, url: &str, skip_verify: bool) -> Mirror {
        let endpoint = Endpoint { url: url.into(), ca: Some("PEM".into()), skip_verify };
        Mirror { host: host.into(), endpoints: vec![endpoint], override_path: false }
    }

    #[test]
    fn a_mirror_becomes_a_hosts_file_with_its_ca_beside_it() {
        let component = containerd(&[mirror("docker.io", "https://m:5000", true)]);
        assert_eq!(component.files[1].content, "PEM");
        let file = &component.files[2];
        assert_eq!(file.path, "/etc/containerd/certs.d/docker.io/hosts.toml");
        assert!(file.content.starts_with("[host.\"https://m:5000\"]"), "{}", file.content);
        assert!(file.content.contains("skip_verify = true"), "{}", file.content);
    }

    #[test]
    fn a_mirror_of_all_is_the_default_and_nothing_is_said_about_tls_unasked() {
        let component = containerd(&[mirror("*", "http://m:5000", false)]);
        let file = &component.files[2];
        assert_eq!(file.path, "/etc/containerd/certs.d/_default/hosts.toml");
        assert!(!file.content.contains("skip_verify"), "{}", file.content);
    }

    #[test]
    fn registries_that_are_not_in_the_config_any_more_are_forgotten() {
        let registries = tempfile::tempdir().unwrap();
        for name in ["docker.io", "_default", "old.example:5000"] {
            fs::create_dir(registries.path().join(name)).unwrap();
        }
        forget(registries.path(), &[mirror("docker.io", "https://m", false)]).unwrap();
        let left = fs::read_dir(registries.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["docker.io"]);
        forget(Path::new("/nowhere"), &[]).unwrap();
    }
}
