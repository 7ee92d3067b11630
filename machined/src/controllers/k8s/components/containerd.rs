//! containerd with its CRI plugin. <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>
//!
//! Needs neither config nor certificates, so it starts as soon as EPHEMERAL is there.

use corten_constants::paths;
use corten_resources::runtime::{Directory, Probe, ServiceSpec};

use super::{Component, File, command, health};

/// Name of the pause image, as the image build tags it.
pub const SANDBOX_IMAGE: &str = concat!("corten.dev/pause:", env!("CARGO_PKG_VERSION"));

const CONFIG: &str = "/etc/containerd/config.toml";
const REGISTRIES: &str = "/etc/containerd/certs.d";

/// A registry and where else its images can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Host name of the registry, `docker.io` for example.
    pub host: String,
    /// Endpoints to try first, in order, each an `https://` or `http://` URL.
    pub endpoints: Vec<String>,
    /// Whether the path in an endpoint replaces `/v2`.
    pub override_path: bool,
}

/// The container runtime of this node.
pub fn containerd(mirrors: &[Mirror]) -> Component {
    let mut files = vec![File::new(CONFIG, configuration())];
    files.extend(mirrors.iter().map(hosts));
    let probe = Probe::Unix { path: paths::CONTAINERD_SOCKET.into() };
    let service = ServiceSpec {
        command: command("containerd", vec![format!("--config={CONFIG}")]),
        directories: vec![
            Directory { path: "/var/lib/containerd".into(), mode: 0o711, uid: 0 },
            Directory { path: REGISTRIES.into(), mode: 0o755, uid: 0 },
            Directory { path: paths::CNI_CONF.into(), mode: 0o755, uid: 0 },
        ],
        environment: [("PATH".to_owned(), "/usr/bin:/usr/sbin".to_owned())].into(),
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

/// `hosts.toml` of a registry. <https://github.com/containerd/containerd/blob/main/docs/hosts.md>
fn hosts(mirror: &Mirror) -> File {
    let sections = mirror.endpoints.iter().map(|endpoint| {
        format!(
            "[host.\"{endpoint}\"]\ncapabilities = [\"pull\", \"resolve\"]\noverride_path = {}\n",
            mirror.override_path
        )
    });
    let server = format!("server = \"https://{}\"\n\n", mirror.host);
    File::new(
        format!("{REGISTRIES}/{}/hosts.toml", mirror.host),
        server + &sections.collect::<Vec<_>>().join("\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_becomes_a_hosts_file() {
        let mirror = Mirror {
            host: "docker.io".into(),
            endpoints: vec!["https://m:5000".into()],
            override_path: false,
        };
        let component = containerd(&[mirror]);
        let file = &component.files[1];
        assert_eq!(file.path, "/etc/containerd/certs.d/docker.io/hosts.toml");
        assert!(file.content.contains("[host.\"https://m:5000\"]"), "{}", file.content);
    }
}
