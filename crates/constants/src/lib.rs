//! Names, paths, ports and ids that users, tests and other programs rely on.
//!
//! A change here is a change of an interface: it needs a line in the changelog.

pub mod ids;
pub mod labels;
pub mod paths;
pub mod ports;

/// `apiVersion` of every config document.
pub const CONFIG_API_VERSION: &str = "corten.dev/v1";

/// Version of this build, SemVer, from the workspace manifest.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Format of the config documents that this build reads and writes; a bundle says which ones its version understands.
pub const CONFIG_FORMAT: u32 = 1;

/// Name of the QEMU fw_cfg entry that may hold a config.
pub const FW_CFG_CONFIG: &str = "opt/dev.corten/config";

/// DNS domain of the Kubernetes cluster when the config names none.
pub const DEFAULT_CLUSTER_DOMAIN: &str = "cluster.local";
