//! Why the store refused.

/// Why the store refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such resource.
    #[error("{kind} {id} does not exist")]
    NotFound {
        /// Name of the kind.
        kind: &'static str,
        /// Id asked for.
        id: String,
    },
    /// Create of a resource that is there.
    #[error("{kind} {id} exists already")]
    Exists {
        /// Name of the kind.
        kind: &'static str,
        /// Id asked for.
        id: String,
    },
    /// The resource changed since the writer read it.
    #[error("{kind} {id} is at version {actual}, not {expected}")]
    Conflict {
        /// Name of the kind.
        kind: &'static str,
        /// Id asked for.
        id: String,
        /// Version that the writer read.
        expected: u64,
        /// Version in the store.
        actual: u64,
    },
    /// A write by somebody else than the owner.
    #[error("{kind} {id} belongs to {owner:?}, not to {writer:?}")]
    NotOwner {
        /// Name of the kind.
        kind: &'static str,
        /// Id asked for.
        id: String,
        /// Who owns it.
        owner: String,
        /// Who tried to write.
        writer: String,
    },
    /// Destroy of a resource that somebody still needs.
    #[error("{kind} {id} is still needed by {}", finalizers.join(", "))]
    Finalizers {
        /// Name of the kind.
        kind: &'static str,
        /// Id asked for.
        id: String,
        /// Who needs it.
        finalizers: Vec<String>,
    },
    /// A change of a resource that is going away.
    #[error("{kind} {id} is being torn down")]
    TearingDown {
        /// Name of the kind.
        kind: &'static str,
        /// Id asked for.
        id: String,
    },
    /// No kind has this name or alias.
    #[error("there is no resource kind {0:?}")]
    UnknownKind(String),
}
