//! Fixed numeric users and groups of our services. Each user has a group of the same number.

/// Everything that needs privileges.
pub const ROOT: u32 = 0;
/// apid, the TLS front of the API.
pub const APID: u32 = 50;
/// The console dashboard.
pub const DASHBOARD: u32 = 51;
/// chronyd, the NTP client.
pub const CHRONY: u32 = 52;
/// etcd.
pub const ETCD: u32 = 60;
/// kube-apiserver.
pub const KUBE_APISERVER: u32 = 61;
/// kube-controller-manager.
pub const KUBE_CONTROLLER_MANAGER: u32 = 62;
/// kube-scheduler.
pub const KUBE_SCHEDULER: u32 = 63;
/// The conventional nobody.
pub const NOBODY: u32 = 65534;

/// Name and number of every user, for `/etc/passwd` and `/etc/group`.
pub const USERS: &[(&str, u32)] = &[
    ("root", ROOT),
    ("apid", APID),
    ("dashboard", DASHBOARD),
    ("_chrony", CHRONY),
    ("etcd", ETCD),
    ("kube-apiserver", KUBE_APISERVER),
    ("kube-controller-manager", KUBE_CONTROLLER_MANAGER),
    ("kube-scheduler", KUBE_SCHEDULER),
    ("nobody", NOBODY),
];
