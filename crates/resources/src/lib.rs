//! Typed resource kinds, by area. A kind is a marker type with a `Spec`; `XxxSpec` is wanted, `XxxStatus` is observed.

pub mod block;
pub mod config;
pub mod hardware;
pub mod install;
pub mod k8s;
pub mod network;
pub mod runtime;
pub mod secrets;
pub mod update;

use corten_store::Store;

/// Makes every kind known to the API, so that it can be asked for before its first resource exists.
pub fn register_all(store: &Store) {
    runtime::register(store);
    network::register(store);
    block::register(store);
    hardware::register(store);
    update::register(store);
    install::register(store);
    store.register::<config::MachineConfig>();
    store.register::<config::ConfigSourceStatus>();
    store.register::<k8s::EtcdMember>();
    store.register::<k8s::NodeStatus>();
    store.register::<k8s::ManifestStatus>();
    store.register::<k8s::ImageStatus>();
    store.register::<k8s::KubernetesConfig>();
    store.register::<secrets::ComponentSecrets>();
    store.register::<secrets::CertificateStatus>();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_two_kinds_answer_to_the_same_name() {
        let store = Store::new();
        register_all(&store);
        let mut names = BTreeMap::new();
        for kind in store.kinds() {
            let mut own: Vec<_> = kind.aliases.iter().map(|alias| alias.to_lowercase()).collect();
            own.push(kind.name.to_lowercase());
            own.sort();
            own.dedup();
            for name in own {
                assert_eq!(names.insert(name.clone(), kind.name), None, "{name} is {} too", kind.name);
            }
        }
    }

    #[test]
    fn kinds_look_alike() {
        let store = Store::new();
        register_all(&store);
        let namespaces =
            ["config", "runtime", "network", "block", "hardware", "secrets", "etcd", "k8s", "update"];
        for kind in store.kinds() {
            assert!(namespaces.contains(&kind.namespace), "{} is in {}", kind.name, kind.namespace);
            assert!(
                kind.aliases.contains(&&*kind.name.to_lowercase()),
                "{} in lower case is no alias",
                kind.name
            );
            assert!(
                kind.aliases
                    .iter()
                    .all(|alias| alias.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
            );
            for (header, pointer) in kind.columns {
                assert!(
                    pointer.starts_with('/') && *header == header.to_uppercase(),
                    "{}: {header}",
                    kind.name
                );
            }
        }
    }
}
