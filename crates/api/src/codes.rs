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
/// Something speaks against the update; the causes are the problems.
pub const UPDATE_REFUSED: &str = "update.refused";
/// The version failed on this node before, and is refused until it is allowed.
pub const UPDATE_DENIED: &str = "update.denied";
/// Another update is being written, or waits for its boot.
pub const UPDATE_RUNNING: &str = "update.running";
/// The transfer is not known, not complete, or does not go on where it should.
pub const UPDATE_TRANSFER: &str = "update.transfer";
/// The server or the registry did not give the bundle.
pub const UPDATE_SOURCE: &str = "update.source";
/// The bundle is damaged, or nobody whom the node trusts signed it.
pub const UPDATE_INVALID: &str = "update.invalid";
/// The slot or the boot entry could not be written, or reads back otherwise.
pub const UPDATE_WRITE: &str = "update.write";
/// The new version did not stay: the old one runs again.
pub const UPDATE_FAILED: &str = "update.failed";
/// The other slot holds nothing that boots.
pub const UPDATE_NO_ROLLBACK: &str = "update.no-rollback";
/// The machine runs from an install medium, and the config has no Install document.
pub const INSTALL_REQUIRED: &str = "install.required";
/// Not exactly one disk matches, or it may not be written to; the causes name each disk.
pub const INSTALL_DISK: &str = "install.disk";
/// An installation is running.
pub const INSTALL_RUNNING: &str = "install.running";
/// The installation broke off; it can be started again.
pub const INSTALL_FAILED: &str = "install.failed";
/// The machine cannot be reset in this state or in this way.
pub const RESET_REFUSED: &str = "reset.refused";
/// A deadline passed.
pub const TIMEOUT: &str = "timeout";
/// The node does too much of this at the same time already.
pub const BUSY: &str = "busy";
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
    (UPDATE_REFUSED, "something speaks against the update; the causes are the problems"),
    (UPDATE_DENIED, "the version failed on this node before, and is refused until it is allowed"),
    (UPDATE_RUNNING, "another update is being written, or waits for its boot"),
    (UPDATE_TRANSFER, "the transfer is not known, not complete, or does not go on where it should"),
    (UPDATE_SOURCE, "the server or the registry did not give the bundle"),
    (UPDATE_INVALID, "the bundle is damaged, or nobody whom the node trusts signed it"),
    (UPDATE_WRITE, "the slot or the boot entry could not be written, or reads back otherwise"),
    (UPDATE_FAILED, "the new version did not stay: the old one runs again"),
    (UPDATE_NO_ROLLBACK, "the other slot holds nothing that boots"),
    (INSTALL_REQUIRED, "the machine runs from an install medium, and the config has no Install document"),
    (INSTALL_DISK, "not exactly one disk matches, or it may not be written to; the causes name each disk"),
    (INSTALL_RUNNING, "an installation is running"),
    (INSTALL_FAILED, "the installation broke off; it can be started again"),
    (RESET_REFUSED, "the machine cannot be reset in this state or in this way"),
    (TIMEOUT, "a deadline passed"),
    (BUSY, "the node does too much of this at the same time already; try again later"),
    (PROXY_UNAVAILABLE, "apid could not reach machined"),
    (INTERNAL, "something that should not happen"),
];
