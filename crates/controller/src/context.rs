//! A controller's view of the store: it reads its inputs and outputs, and writes its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_store::{Kind, Resource, Store, StoreError};

/// Why a write was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// The controller did not declare the kind as an output.
    #[error("{controller} does not declare {kind} as an output")]
    NotAnOutput {
        /// Name of the controller.
        controller: &'static str,
        /// Name of the kind.
        kind: &'static str,
    },
    /// The controller did not declare the kind as an input.
    #[error("{controller} does not declare {kind} as an input")]
    NotAnInput {
        /// Name of the controller.
        controller: &'static str,
        /// Name of the kind.
        kind: &'static str,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Handed to each reconcile. What it writes belongs to the controller.
#[derive(Debug, Clone)]
pub struct Context {
    store: Store,
    name: &'static str,
    inputs: &'static [&'static str],
    outputs: &'static [&'static str],
}

impl Context {
    /// The view of a controller with this name and these kinds. The runtime makes it; so do tests of a controller.
    pub fn new(
        store: Store,
        name: &'static str,
        inputs: &'static [&'static str],
        outputs: &'static [&'static str],
    ) -> Self {
        Self { store, name, inputs, outputs }
    }

    /// Name of the controller, the owner of what it writes.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The whole store. Nothing here wakes the controller, so this is for what is read beside its inputs.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// An input or output. `None`, with an error in the log, when the kind is not declared.
    pub fn get<K: Kind>(&self, id: &str) -> Option<Arc<Resource<K>>> {
        if self.may_read::<K>() { self.store.get(id) } else { None }
    }

    /// All inputs or outputs of a kind. Empty, with an error in the log, when the kind is not declared.
    pub fn list<K: Kind>(&self) -> Vec<Arc<Resource<K>>> {
        if self.may_read::<K>() { self.store.list() } else { Vec::new() }
    }

    /// Creates an output, or replaces its spec when that differs. Tells whether anything changed.
    pub fn put<K: Kind>(&self, id: &str, spec: K::Spec) -> Result<bool, ContextError> {
        self.check_output::<K>()?;
        Ok(self.store.put::<K>(self.name, id, spec)?)
    }

    /// Destroys an output; refused while it has finalizers.
    pub fn destroy<K: Kind>(&self, id: &str) -> Result<(), ContextError> {
        self.check_output::<K>()?;
        Ok(self.store.destroy::<K>(self.name, id)?)
    }

    /// Destroys an output, at once or when its last finalizer is removed. Tells whether it is gone.
    pub fn teardown<K: Kind>(&self, id: &str) -> Result<bool, ContextError> {
        self.check_output::<K>()?;
        Ok(self.store.teardown::<K>(self.name, id)?)
    }

    /// Makes this controller's resources of the kind equal to `want`.
    pub fn sync_owned<K: Kind>(&self, want: BTreeMap<String, K::Spec>) -> Result<(), ContextError> {
        self.check_output::<K>()?;
        Ok(self.store.sync_owned::<K>(self.name, want)?)
    }

    /// Keeps an input from being destroyed before this controller has cleaned up.
    pub fn add_finalizer<K: Kind>(&self, id: &str) -> Result<(), ContextError> {
        self.check_input::<K>()?;
        Ok(self.store.add_finalizer::<K>(id, self.name)?)
    }

    /// Takes back [`Self::add_finalizer`].
    pub fn remove_finalizer<K: Kind>(&self, id: &str) -> Result<(), ContextError> {
        self.check_input::<K>()?;
        Ok(self.store.remove_finalizer::<K>(id, self.name)?)
    }

    fn may_read<K: Kind>(&self) -> bool {
        let declared = self.inputs.contains(&K::NAME) || self.outputs.contains(&K::NAME);
        if !declared {
            tracing::error!(
                controller = self.name,
                kind = K::NAME,
                "a controller reads what it does not declare"
            );
        }
        declared
    }

    fn check_output<K: Kind>(&self) -> Result<(), ContextError> {
        if self.outputs.contains(&K::NAME) {
            return Ok(());
        }
        Err(ContextError::NotAnOutput { controller: self.name, kind: K::NAME })
    }

    fn check_input<K: Kind>(&self) -> Result<(), ContextError> {
        if self.inputs.contains(&K::NAME) {
            return Ok(());
        }
        Err(ContextError::NotAnInput { controller: self.name, kind: K::NAME })
    }
}
