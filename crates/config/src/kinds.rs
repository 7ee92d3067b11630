//! The table of document kinds. Parser, writer, diff, schema and reference all go through it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::types::kubernetes::{
    api_server::APIServer, cluster::Cluster, etcd::Etcd, kubelet::Kubelet, registry::Registry,
};
use crate::types::network::{hostname::Hostname, link::Link, resolver::Resolver};
use crate::types::system::{
    install::Install, kernel_module::KernelModule, machine::Machine, sysctl::Sysctl, time::Time,
    update_policy::UpdatePolicy,
};

/// How many documents of a kind a config has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// Exactly one.
    One,
    /// At most one.
    Optional,
    /// Any number, told apart by the value of this key.
    Keyed(&'static str),
}

/// A kind of document.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) count: Count,
    /// A document to copy from, as in `docs/examples`.
    pub(crate) example: &'static str,
    generate: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// The table has each name once.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A document as plain data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) kind: &'static Kind,
    /// What tells it apart from others of its kind.
    pub(crate) name: Option<String>,
    pub(crate) value: Value,
    /// The document in YAML, with its header.
    pub(crate) yaml: String,
}

/// The documents that were read so far, with no promise that they fit together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents {
    pub(crate) machine: Option<Machine>,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) hostname: Option<Hostname>,
    pub(crate) install: Option<Install>,
    pub(crate) links: Vec<Link>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) time: Option<Time>,
    pub(crate) kubelet: Option<Kubelet>,
    pub(crate) api_server: Option<APIServer>,
    pub(crate) etcd: Option<Etcd>,
    pub(crate) registries: Vec<Registry>,
    pub(crate) sysctl: Option<Sysctl>,
    pub(crate) kernel_modules: Vec<KernelModule>,
    pub(crate) update_policy: Option<UpdatePolicy>,
}

macro_rules! kinds {
    ($($type:ident: $field:ident, $count:expr, $example:literal;)*) => {
        /// Every kind, in the order of the reference.
        pub(crate) static KINDS: &[Kind] = &[$(Kind {
            name: stringify!($type),
            count: $count,
            example: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/", $example)),
            generate: schemars::SchemaGenerator::root_schema_for::<$type>,
        },)*];

        impl Documents {
            /// Takes over a document that was decoded by its schema.
            pub(crate) fn put(&mut self, kind: &str, value: Value) -> Result<(), serde_json::Error> {
                match kind {
                    $(stringify!($type) => self.$field.put(serde_json::from_value::<$type>(value)?),)*
                    // Kinds come from the table.
                    _ => {}
                }
                Ok(())
            }

            /// All documents in the order of the table.
            pub(crate) fn list(&self) -> Vec<Document> {
                let mut documents = Vec::new();
                $(for item in self.$field.items() {
                    documents.extend(find(stringify!($type)).map(|kind| document(kind, item)));
                })*
                documents
            }
        }
    };
}

kinds! {
    Machine: machine, Count::One, "machine.yaml";
    Cluster: cluster, Count::One, "cluster.yaml";
    Install: install, Count::Optional, "install.yaml";
    Hostname: hostname, Count::Optional, "hostname.yaml";
    Link: links, Count::Keyed("name"), "link.yaml";
    Resolver: resolver, Count::Optional, "resolver.yaml";
    Time: time, Count::Optional, "time.yaml";
    Kubelet: kubelet, Count::Optional, "kubelet.yaml";
    APIServer: api_server, Count::Optional, "api-server.yaml";
    Etcd: etcd, Count::Optional, "etcd.yaml";
    Registry: registries, Count::Keyed("host"), "registry.yaml";
    Sysctl: sysctl, Count::Optional, "sysctl.yaml";
    KernelModule: kernel_modules, Count::Keyed("name"), "kernel-module.yaml";
    UpdatePolicy: update_policy, Count::Optional, "update-policy.yaml";
}

/// The kind called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// Its schema, without references to others. Made once.
    pub(crate) fn schema(&self) -> &'static Value {
        static SCHEMAS: OnceLock<BTreeMap<&'static str, Value>> = OnceLock::new();
        let make = |kind: &Kind| {
            let mut generator =
                SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
            generator.meta_schema = None;
            Value::from((kind.generate)(&mut generator.into_generator()))
        };
        let schemas = SCHEMAS.get_or_init(|| KINDS.iter().map(|kind| (kind.name, make(kind))).collect());
        schemas.get(self.name).unwrap_or(&Value::Null)
    }

    /// What tells a document of this kind apart from its siblings.
    pub(crate) fn name_of(&self, value: &Value) -> Option<String> {
        let Count::Keyed(key) = self.count else { return None };
        let name = value.get(key).and_then(Value::as_str).map(str::to_owned);
        // A link without a name is known by what it is found by.
        name.or_else(|| value.get("match").map(Value::to_string))
    }
}

/// A place for documents of one kind.
trait Slot<T> {
    fn put(&mut self, item: T);
    fn items(&self) -> &[T];
}

impl<T> Slot<T> for Option<T> {
    fn put(&mut self, item: T) {
        *self = Some(item);
    }

    fn items(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> Slot<T> for Vec<T> {
    fn put(&mut self, item: T) {
        self.push(item);
    }

    fn items(&self) -> &[T] {
        self
    }
}

fn document<T: Serialize + DeserializeOwned>(kind: &'static Kind, item: &T) -> Document {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Whole<'a, T> {
        api_version: &'static str,
        kind: &'static str,
        #[serde(flatten)]
        body: &'a T,
    }
    // Neither can fail: our types have text keys only and no foreign serializers. The round-trip property holds it.
    let value = serde_json::to_value(item).unwrap_or_default();
    let whole = Whole { api_version: corten_constants::CONFIG_API_VERSION, kind: kind.name, body: item };
    let yaml = serde_saphyr::to_string(&whole).unwrap_or_default();
    Document { kind, name: kind.name_of(&value), value, yaml }
}
