//! What makes a type a resource kind.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A resource kind: a marker type that names the kind and its spec.
pub trait Kind: Send + Sync + 'static {
    /// CamelCase name, unique among all kinds: `LinkStatus`.
    const NAME: &'static str;
    /// Area of the kind: `config`, `runtime`, `network`, `block`, `secrets`, `etcd`, `k8s`, `cluster` or `update`.
    const NAMESPACE: &'static str;
    /// Lower-case names under which people ask for the kind: `links`.
    const ALIASES: &'static [&'static str];
    /// Whether the spec holds secrets, so that only `os:admin` may see it.
    const SENSITIVE: bool = false;
    /// What a resource of the kind holds.
    type Spec: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static;

    /// Columns of the table that `osctl get` prints: header, and JSON pointer into the spec.
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// A kind, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// [`Kind::NAME`].
    pub name: &'static str,
    /// [`Kind::NAMESPACE`].
    pub namespace: &'static str,
    /// [`Kind::ALIASES`].
    pub aliases: &'static [&'static str],
    /// [`Kind::SENSITIVE`].
    pub sensitive: bool,
    /// [`Kind::columns`].
    pub columns: &'static [(&'static str, &'static str)],
}

impl KindInfo {
    /// Describes `K`.
    pub fn of<K: Kind>() -> Self {
        Self {
            name: K::NAME,
            namespace: K::NAMESPACE,
            aliases: K::ALIASES,
            sensitive: K::SENSITIVE,
            columns: K::columns(),
        }
    }

    /// Whether a person who writes `name` means this kind.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}
