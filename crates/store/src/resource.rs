//! A resource: metadata and a spec, typed or as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Kind;

/// Where a resource is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Phase {
    /// In use.
    #[default]
    Running,
    /// Going away as soon as the last finalizer is removed; the spec does not change any more.
    TearingDown,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::TearingDown => "tearing-down",
        })
    }
}

/// What the store keeps about a resource beside its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Unique within the kind.
    pub id: String,
    /// Grows with every change; taken from a sequence of the kind.
    pub version: u64,
    /// Running or going away.
    pub phase: Phase,
    /// Who may change it: the name of a controller, or of a part of the node.
    pub owner: String,
    /// Who still needs it: it is not destroyed before this is empty.
    pub finalizers: BTreeSet<String>,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

/// A resource of kind `K`, handed out as `Arc<Resource<K>>`: it never changes under its reader.
pub struct Resource<K: Kind> {
    /// Kept by the store.
    pub metadata: Metadata,
    /// Kept by the owner.
    pub spec: K::Spec,
}

impl<K: Kind> Resource<K> {
    /// The id, unique within the kind.
    pub fn id(&self) -> &str {
        &self.metadata.id
    }

    /// Type-erased copy.
    pub(crate) fn to_any(&self) -> AnyResource {
        let spec = serde_json::to_value(&self.spec)
            .unwrap_or_else(|error| serde_json::Value::String(format!("not representable as JSON: {error}")));
        AnyResource { kind: K::NAME, namespace: K::NAMESPACE, metadata: self.metadata.clone(), spec }
    }
}

impl<K: Kind> Clone for Resource<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), spec: self.spec.clone() }
    }
}

impl<K: Kind> PartialEq for Resource<K> {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.spec == other.spec
    }
}

impl<K: Kind> fmt::Debug for Resource<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct(K::NAME);
        out.field("metadata", &self.metadata);
        if K::SENSITIVE {
            return out.finish_non_exhaustive();
        }
        out.field("spec", &self.spec).finish()
    }
}

/// A resource of any kind, with its spec as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnyResource {
    /// [`Kind::NAME`].
    pub kind: &'static str,
    /// [`Kind::NAMESPACE`].
    pub namespace: &'static str,
    /// Kept by the store.
    pub metadata: Metadata,
    /// The spec.
    pub spec: serde_json::Value,
}
