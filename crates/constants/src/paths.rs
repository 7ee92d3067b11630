//! Paths on a node.

/// Mount point of STATE.
pub const STATE: &str = "/system/state";
/// Mount point of EPHEMERAL.
pub const EPHEMERAL: &str = "/var";
/// Our runtime files, tmpfs.
pub const RUN: &str = "/run/corten";
/// Unix socket on which machined serves apid.
pub const MACHINED_SOCKET: &str = "/run/corten/machined.sock";
/// Certificate, key and CA of apid (`tls.crt`, `tls.key`, `ca.crt`), owned by apid.
pub const APID_PKI: &str = "/run/corten/apid";
/// Rendered Kubernetes and etcd certificates, keys and kubeconfigs, tmpfs.
pub const SECRETS: &str = "/run/corten/secrets";
/// Log files of services.
pub const LOGS: &str = "/var/log/corten";
/// containerd's socket.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// etcd's data.
pub const ETCD_DATA: &str = "/var/lib/etcd";
/// Config generations.
pub const CONFIG_GENERATIONS: &str = "/system/state/config";
/// OCI archives that are imported at boot.
pub const IMAGES: &str = "/usr/share/corten/images";
/// CNI plugins in the root image.
pub const CNI_PLUGINS: &str = "/usr/lib/cni";
/// Where CNIs install themselves; seeded from [`CNI_PLUGINS`].
pub const CNI_BIN: &str = "/opt/cni/bin";
/// CNI configuration.
pub const CNI_CONF: &str = "/etc/cni/net.d";
/// The SBOM inside the root image.
pub const SBOM: &str = "/usr/share/corten/sbom.spdx.json";
/// Where the EFI partition is mounted while it is worked on.
pub const ESP: &str = "/run/corten/esp";
/// Public keys whose update bundles this image takes.
pub const UPDATE_KEYS: &str = "/usr/share/corten/update-keys";
/// The install medium, on a machine that was started from it.
pub const MEDIUM: &str = "/run/corten/medium";
