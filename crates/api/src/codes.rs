//! Stable error codes. Scripts match on them: never change one, only add.

/// The request is malformed.
pub const REQUEST_INVALID: &str = "request.invalid";
/// No such thing.
pub const NOT_FOUND: &str = "not-found";
/// The caller's roles do not allow this.
pub const ACCESS_DENIED: &str = "access.denied";
/// The machine has no config yet.
pub const MACHINE_MAINTENANCE: &str = "machine.maintenance";
/// The machine is shutting down or rebooting.
pub const MACHINE_STOPPING: &str = "machine.stopping";
/// The part that answers this has not started yet.
pub const MACHINE_BOOTING: &str = "machine.booting";
/// The config has errors; the causes are the problems.
pub const CONFIG_INVALID: &str = "config.invalid";
/// The machine has a config already, and this call needs a machine without one.
pub const CONFIG_EXISTS: &str = "config.exists";
/// The config could not be written.
pub const CONFIG_STORE: &str = "config.store";
/// The cluster has been bootstrapped already.
pub const CLUSTER_BOOTSTRAPPED: &str = "cluster.bootstrapped";
/// Only a control-plane node can do this.
pub const CLUSTER_NOT_CONTROL_PLANE: &str = "cluster.not-control-plane";
/// The cluster is not up far enough.
pub const CLUSTER_NOT_READY: &str = "cluster.not-ready";
/// The service is in no state for this.
pub const SERVICE_STATE: &str = "service.state";
/// A resource operation was refused.
pub const RESOURCE_CONFLICT: &str = "resource.conflict";
/// The watcher was too slow and must start again.
pub const WATCH_LAGGED: &str = "watch.lagged";
/// The archive is no OCI archive, or containerd refused it.
pub const IMAGE_INVALID: &str = "image.invalid";
/// A deadline passed.
pub const TIMEOUT: &str = "timeout";
/// apid could not reach machined.
pub const PROXY_UNAVAILABLE: &str = "proxy.unavailable";
/// Something that should not happen.
pub const INTERNAL: &str = "internal";

/// Every code, for the reference page.
pub const ALL: &[(&str, &str)] = &[
    (REQUEST_INVALID, "the request is malformed"),
    (NOT_FOUND, "no such thing"),
    (ACCESS_DENIED, "the caller's roles do not allow this"),
    (MACHINE_MAINTENANCE, "the machine has no config yet"),
    (MACHINE_STOPPING, "the machine is shutting down or rebooting"),
    (MACHINE_BOOTING, "the part that answers this has not started yet"),
    (CONFIG_INVALID, "the config has errors; the causes are the problems"),
    (CONFIG_EXISTS, "the machine has a config already"),
    (CONFIG_STORE, "the config could not be written"),
    (CLUSTER_BOOTSTRAPPED, "the cluster has been bootstrapped already"),
    (CLUSTER_NOT_CONTROL_PLANE, "only a control-plane node can do this"),
    (CLUSTER_NOT_READY, "the cluster is not up far enough"),
    (SERVICE_STATE, "the service is in no state for this"),
    (RESOURCE_CONFLICT, "a resource operation was refused"),
    (WATCH_LAGGED, "the watcher was too slow and must start again"),
    (IMAGE_INVALID, "the archive is no OCI archive, or containerd refused it"),
    (TIMEOUT, "a deadline passed"),
    (PROXY_UNAVAILABLE, "apid could not reach machined"),
    (INTERNAL, "something that should not happen"),
];
