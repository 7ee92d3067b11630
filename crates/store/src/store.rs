//! The store: a table per kind, found by type or by name.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::any::ErasedTable;
use crate::signal::Hub;
use crate::table::Table;
use crate::{AnyResource, AnyWatch, ChangeSignal, Kind, KindInfo, Resource, StoreError, Watch};

/// The resource store. A clone is another handle on the same resources.
#[derive(Clone, Default)]
pub struct Store {
    tables: Arc<RwLock<Tables>>,
}

#[derive(Default)]
struct Tables {
    by_type: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    by_name: BTreeMap<&'static str, Arc<dyn ErasedTable>>,
    hubs: BTreeMap<&'static str, Arc<Hub>>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `K` known by name. A kind that was only ever used by type is registered by its first use.
    pub fn register<K: Kind>(&self) {
        self.table::<K>();
    }

    /// The resource `id`.
    pub fn get<K: Kind>(&self, id: &str) -> Option<Arc<Resource<K>>> {
        self.table::<K>().get(id)
    }

    /// All resources, sorted by id.
    pub fn list<K: Kind>(&self) -> Vec<Arc<Resource<K>>> {
        self.table::<K>().list()
    }

    /// Creates a resource that belongs to `owner`.
    pub fn create<K: Kind>(
        &self,
        owner: &str,
        id: &str,
        spec: K::Spec,
    ) -> Result<Arc<Resource<K>>, StoreError> {
        self.table::<K>().create(owner, id, spec)
    }

    /// Replaces the spec of a resource that is at version `expected_version`.
    pub fn update<K: Kind>(
        &self,
        owner: &str,
        id: &str,
        expected_version: u64,
        spec: K::Spec,
    ) -> Result<Arc<Resource<K>>, StoreError> {
        self.table::<K>().update(owner, id, expected_version, spec)
    }

    /// Creates the resource, or replaces its spec when that differs. Tells whether anything changed.
    pub fn put<K: Kind>(&self, owner: &str, id: &str, spec: K::Spec) -> Result<bool, StoreError> {
        self.table::<K>().put(owner, id, spec)
    }

    /// Destroys a resource; refused while it has finalizers.
    pub fn destroy<K: Kind>(&self, owner: &str, id: &str) -> Result<(), StoreError> {
        self.table::<K>().destroy(owner, id)
    }

    /// Destroys a resource, at once or when its last finalizer is removed. Tells whether it is gone.
    pub fn teardown<K: Kind>(&self, owner: &str, id: &str) -> Result<bool, StoreError> {
        self.table::<K>().teardown(owner, id)
    }

    /// Keeps a resource that `finalizer` needs from being destroyed.
    pub fn add_finalizer<K: Kind>(&self, id: &str, finalizer: &str) -> Result<(), StoreError> {
        self.table::<K>().add_finalizer(id, finalizer)
    }

    /// Takes back [`Self::add_finalizer`]. Fine when there is nothing to take back.
    pub fn remove_finalizer<K: Kind>(&self, id: &str, finalizer: &str) -> Result<(), StoreError> {
        self.table::<K>().remove_finalizer(id, finalizer)
    }

    /// Sets a label, or removes it when `value` is `None`. Tells whether anything changed.
    pub fn set_label<K: Kind>(
        &self,
        owner: &str,
        id: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.table::<K>().set_label(owner, id, key, value)
    }

    /// Makes the resources of `owner` equal to `want`, in one step for every reader. Those that are not wanted any more
    /// are torn down. Carries on after an error and gives the first one.
    pub fn sync_owned<K: Kind>(
        &self,
        owner: &str,
        want: BTreeMap<String, K::Spec>,
    ) -> Result<(), StoreError> {
        self.table::<K>().sync_owned(owner, want)
    }

    /// Watches the kind.
    pub fn watch<K: Kind>(&self) -> Watch<K> {
        Watch::new(self.table::<K>())
    }

    /// Waits until `pred` holds for the spec of `id` (`None`: there is no such resource). The caller sets a deadline.
    pub async fn wait_for<K: Kind>(&self, id: &str, pred: impl Fn(Option<&K::Spec>) -> bool) {
        let signal = self.changed(&[K::NAME]);
        while !pred(self.get::<K>(id).as_ref().map(|resource| &resource.spec)) {
            signal.wait().await;
        }
    }

    /// All registered kinds, sorted by name.
    pub fn kinds(&self) -> Vec<KindInfo> {
        self.read(|tables| tables.by_name.values().map(|table| table.info()).collect())
    }

    /// The kind that a person means by `name`: its name or one of its aliases, in any case.
    pub fn resolve(&self, name: &str) -> Result<KindInfo, StoreError> {
        Ok(self.erased(name)?.info())
    }

    /// The resource `id` of a kind given by name or alias; `None` when there is none.
    pub fn get_any(&self, kind: &str, id: &str) -> Result<Option<AnyResource>, StoreError> {
        Ok(self.erased(kind)?.get_any(id))
    }

    /// Whether a kind given by name or alias has the resource `id`.
    pub fn contains(&self, kind: &str, id: &str) -> bool {
        self.erased(kind).is_ok_and(|table| table.contains(id))
    }

    /// All resources of a kind given by name or alias, sorted by id.
    pub fn list_any(&self, kind: &str) -> Result<Vec<AnyResource>, StoreError> {
        Ok(self.erased(kind)?.list_any())
    }

    /// Watches a kind given by name or alias.
    pub fn watch_any(&self, kind: &str) -> Result<AnyWatch, StoreError> {
        Ok(self.erased(kind)?.watch_any())
    }

    /// A wake-up for changes of any of `kinds`, given by [`Kind::NAME`]. They need not be registered yet.
    pub fn changed(&self, kinds: &[&'static str]) -> ChangeSignal {
        let signal = ChangeSignal::new(kinds);
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for (index, kind) in kinds.iter().enumerate() {
            signal.subscribe(index, tables.hubs.entry(kind).or_default());
        }
        signal
    }

    fn table<K: Kind>(&self) -> Arc<Table<K>> {
        let found = self.read(|tables| tables.by_type.get(&TypeId::of::<K>()).cloned());
        match found.map(Arc::downcast::<Table<K>>) {
            Some(Ok(table)) => table,
            _ => self.insert_table::<K>(),
        }
    }

    fn insert_table<K: Kind>(&self) -> Arc<Table<K>> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(table)) =
            tables.by_type.get(&TypeId::of::<K>()).cloned().map(Arc::downcast::<Table<K>>)
        {
            return table; // somebody else was faster
        }
        let hub = Arc::clone(tables.hubs.entry(K::NAME).or_default());
        let table = Arc::new(Table::<K>::new(hub));
        let erased: Arc<dyn Any + Send + Sync> = Arc::clone(&table) as _;
        tables.by_type.insert(TypeId::of::<K>(), erased);
        if tables.by_name.contains_key(K::NAME) {
            tracing::error!(
                kind = K::NAME,
                "two resource kinds have the same name; the API sees only the first"
            );
        } else {
            tables.by_name.insert(K::NAME, Arc::clone(&table) as _);
        }
        table
    }

    fn erased(&self, kind: &str) -> Result<Arc<dyn ErasedTable>, StoreError> {
        self.read(|tables| {
            let exact = tables.by_name.get(kind);
            let found = exact.or_else(|| tables.by_name.values().find(|table| table.info().answers_to(kind)));
            found.cloned().ok_or_else(|| StoreError::UnknownKind(kind.into()))
        })
    }

    fn read<T>(&self, with: impl FnOnce(&Tables) -> T) -> T {
        with(&self.tables.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.read(|tables| tables.by_name.keys().copied().collect::<Vec<_>>());
        f.debug_struct("Store").field("kinds", &names).finish_non_exhaustive()
    }
}
