//! Who may call what: the `access` option of every method, read once from the descriptor set. Default deny.

use std::{collections::BTreeMap, sync::LazyLock};

use prost::Message;

/// May do everything.
pub const ADMIN: &str = "os:admin";
/// May run the machine: services, images, power. Sees no secrets and changes no config.
pub const OPERATOR: &str = "os:operator";
/// May look at everything but secrets.
pub const READER: &str = "os:reader";
/// May take backups of etcd.
pub const ETCD_BACKUP: &str = "os:etcd:backup";
/// Every role.
pub const ROLES: &[&str] = &[ADMIN, OPERATOR, READER, ETCD_BACKUP];

/// Methods of others that machined serves too: they have no option of ours.
const FOREIGN: &[(&str, bool)] = &[
    ("/grpc.health.v1.Health/Check", true),
    ("/grpc.health.v1.Health/Watch", false),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", false),
];

/// Rule of one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A caller needs one of these.
    pub roles: Vec<String>,
    /// Answered in maintenance to callers without a certificate.
    pub maintenance: bool,
}

/// What [`allowed`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allow,
    /// The caller has none of the roles that the method asks for.
    Deny,
    /// The machine has no config yet, and this needs one.
    NeedsConfig,
    /// There is no such method, or nobody may call it.
    Unknown,
}

/// The rule of every method, by gRPC path (`/corten.v1.MachineService/Version`).
pub fn table() -> &'static BTreeMap<String, Rule> {
    static TABLE: LazyLock<BTreeMap<String, Rule>> = LazyLock::new(|| parse(crate::FILE_DESCRIPTOR_SET));
    &TABLE
}

/// May a caller with these roles call the method at `path`, on a machine that is (not) in maintenance?
pub fn allowed<R: AsRef<str>>(path: &str, roles: &[R], maintenance: bool) -> Decision {
    match table().get(path) {
        None => Decision::Unknown,
        Some(rule) if maintenance && rule.maintenance => Decision::Allow,
        Some(_) if maintenance => Decision::NeedsConfig,
        Some(rule) if roles.iter().any(|role| rule.roles.iter().any(|wanted| wanted == role.as_ref())) => {
            Decision::Allow
        }
        Some(_) => Decision::Deny,
    }
}

/// Whether the method changes nothing: whoever may only look may call it.
pub fn only_looks(path: &str) -> bool {
    table().get(path).is_some_and(|rule| rule.roles.iter().any(|role| role == READER))
}

fn parse(descriptors: &[u8]) -> BTreeMap<String, Rule> {
    let set = Descriptors::decode(descriptors).unwrap_or_default();
    let mut table = BTreeMap::new();
    for file in &set.files {
        for service in &file.services {
            for method in &service.methods {
                let Some(access) = method.options.as_ref().and_then(|options| options.access.as_ref()) else {
                    continue;
                };
                let path = format!("/{}.{}/{}", file.package, service.name, method.name);
                table.insert(path, Rule { roles: access.roles.clone(), maintenance: access.maintenance });
            }
        }
    }
    for (path, maintenance) in FOREIGN {
        let roles = ROLES.iter().map(ToString::to_string).collect();
        table.insert((*path).to_owned(), Rule { roles, maintenance: *maintenance });
    }
    table
}

// The part of descriptor.proto that matters, because prost's own types drop extensions.

#[derive(Clone, PartialEq, Message)]
struct Descriptors {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    options: Option<Options>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(message, optional, tag = "72011")]
    access: Option<crate::v1::Access>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every method of the API, from prost's own reading of the descriptors.
    fn methods() -> Vec<String> {
        let set = prost_types::FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).unwrap();
        let mut paths = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        paths
    }

    #[test]
    fn every_method_says_who_may_call_it() {
        let methods = methods();
        assert!(methods.len() >= 25, "{} methods", methods.len());
        for path in methods {
            let rule = table().get(&path).unwrap_or_else(|| panic!("{path} has no access option"));
            assert!(!rule.roles.is_empty(), "{path} names no role");
            assert!(
                rule.roles.iter().all(|role| ROLES.contains(&role.as_str())),
                "{path} names an unknown role"
            );
            assert!(rule.roles.iter().any(|role| role == ADMIN), "{path} is closed to {ADMIN}");
        }
    }

    #[test]
    fn a_role_is_needed_outside_maintenance() {
        for path in table().keys() {
            assert_eq!(allowed::<&str>(path, &[], false), Decision::Deny, "{path}");
            assert_eq!(allowed(path, &["os:root", ""], false), Decision::Deny, "{path}");
            assert_eq!(allowed(path, &[ADMIN], false), Decision::Allow, "{path}");
        }
    }

    #[test]
    fn readers_change_nothing() {
        let mutating = [
            "Reboot",
            "Shutdown",
            "Reset",
            "Start",
            "Stop",
            "Restart",
            "Import",
            "Apply",
            "Bootstrap",
            "Kubeconfig",
        ];
        for path in table().keys() {
            let method = path.rsplit('/').next().unwrap();
            if mutating.contains(&method) {
                assert_eq!(allowed(path, &[READER, ETCD_BACKUP], false), Decision::Deny, "{path}");
                assert!(!only_looks(path), "{path}");
            }
        }
    }

    #[test]
    fn only_admins_touch_config_and_clusters() {
        for method in [
            "ConfigService/Get",
            "ConfigService/Apply",
            "ClusterService/Bootstrap",
            "ClusterService/Kubeconfig",
        ] {
            let path = format!("/corten.v1.{method}");
            assert_eq!(allowed(&path, &[OPERATOR, READER, ETCD_BACKUP], false), Decision::Deny, "{path}");
        }
    }

    #[test]
    fn maintenance_opens_what_a_new_machine_needs_and_nothing_else() {
        let open: Vec<_> =
            table().keys().filter(|path| allowed::<&str>(path, &[], true) == Decision::Allow).collect();
        assert_eq!(
            open,
            [
                "/corten.v1.ConfigService/Apply",
                "/corten.v1.ConfigService/Validate",
                "/corten.v1.MachineService/BootTimeline",
                "/corten.v1.MachineService/Dmesg",
                "/corten.v1.MachineService/Reboot",
                "/corten.v1.MachineService/Reset",
                "/corten.v1.MachineService/Shutdown",
                "/corten.v1.MachineService/Status",
                "/corten.v1.MachineService/Version",
                "/corten.v1.ResourceService/Get",
                "/corten.v1.ResourceService/Kinds",
                "/corten.v1.ResourceService/List",
                "/corten.v1.ResourceService/Watch",
                "/corten.v1.StorageService/Disks",
                "/corten.v1.StorageService/WatchInstall",
                "/corten.v1.UpdateService/Status",
                "/grpc.health.v1.Health/Check",
            ]
        );
    }

    #[test]
    fn what_is_not_in_the_table_is_unknown_to_everybody() {
        for path in ["", "/", "/corten.v1.MachineService/Nope", "/corten.v1.MachineService/version"] {
            assert_eq!(allowed(path, &[ADMIN], false), Decision::Unknown, "{path}");
            assert_eq!(allowed(path, &[ADMIN], true), Decision::Unknown, "{path}");
        }
    }
}
