//! All resources of one kind, behind one lock.
//!
//! Watchers and signals are told under the lock, so that they see changes in the order in which they happened.

use std::collections::btree_map::{BTreeMap, Entry, OccupiedEntry};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use crate::queue::Queue;
use crate::signal::Hub;
use crate::{Event, Kind, Metadata, Phase, Resource, StoreError};

/// All resources of kind `K`.
pub(crate) struct Table<K: Kind> {
    state: RwLock<State<K>>,
    hub: Arc<Hub>,
}

struct State<K: Kind> {
    items: BTreeMap<Box<str>, Arc<Resource<K>>>,
    tail: Tail<K>,
}

/// What every change touches beside the items.
struct Tail<K: Kind> {
    sequence: u64,
    watchers: Vec<Arc<Queue<Event<K>>>>,
}

impl<K: Kind> Tail<K> {
    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn tell(&self, resource: &Arc<Resource<K>>, event: fn(Arc<Resource<K>>) -> Event<K>) {
        for watcher in &self.watchers {
            watcher.push(event(Arc::clone(resource)));
        }
    }
}

type Slot<'a, K> = OccupiedEntry<'a, Box<str>, Arc<Resource<K>>>;

impl<K: Kind> Table<K> {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        let tail = Tail { sequence: 0, watchers: Vec::new() };
        Self { state: RwLock::new(State { items: BTreeMap::new(), tail }), hub }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Resource<K>>> {
        self.read().items.get(id).cloned()
    }

    pub(crate) fn list(&self) -> Vec<Arc<Resource<K>>> {
        self.read().items.values().cloned().collect()
    }

    pub(crate) fn create(
        &self,
        owner: &str,
        id: &str,
        spec: K::Spec,
    ) -> Result<Arc<Resource<K>>, StoreError> {
        let mut state = self.write();
        let State { items, tail } = &mut *state;
        let Entry::Vacant(slot) = items.entry(id.into()) else {
            return Err(StoreError::Exists { kind: K::NAME, id: id.into() });
        };
        let resource = Arc::clone(slot.insert(new_resource(owner, id, tail.next(), spec)));
        tail.tell(&resource, Event::Created);
        self.hub.changed();
        Ok(resource)
    }

    pub(crate) fn update(
        &self,
        owner: &str,
        id: &str,
        expected: u64,
        spec: K::Spec,
    ) -> Result<Arc<Resource<K>>, StoreError> {
        let mut state = self.write();
        let State { items, tail } = &mut *state;
        let resource = items.get_mut(id).ok_or_else(|| not_found::<K>(id))?;
        check_owner(resource, owner)?;
        check_running(resource)?;
        let actual = resource.metadata.version;
        if actual != expected {
            return Err(StoreError::Conflict { kind: K::NAME, id: id.into(), expected, actual });
        }
        set_spec(resource, tail.next(), spec);
        tail.tell(resource, Event::Updated);
        self.hub.changed();
        Ok(Arc::clone(resource))
    }

    pub(crate) fn put(&self, owner: &str, id: &str, spec: K::Spec) -> Result<bool, StoreError> {
        let mut state = self.write();
        self.put_locked(&mut state, owner, id, spec)
    }

    fn put_locked(
        &self,
        state: &mut State<K>,
        owner: &str,
        id: &str,
        spec: K::Spec,
    ) -> Result<bool, StoreError> {
        let State { items, tail } = state;
        if let Some(resource) = items.get_mut(id) {
            check_owner(resource, owner)?;
            check_running(resource)?;
            if resource.spec == spec {
                return Ok(false);
            }
            set_spec(resource, tail.next(), spec);
            tail.tell(resource, Event::Updated);
        } else {
            let resource = new_resource(owner, id, tail.next(), spec);
            tail.tell(&resource, Event::Created);
            items.insert(id.into(), resource);
        }
        self.hub.changed();
        Ok(true)
    }

    pub(crate) fn destroy(&self, owner: &str, id: &str) -> Result<(), StoreError> {
        let mut state = self.write();
        let State { items, tail } = &mut *state;
        let slot = occupied(items, id)?;
        check_owner(slot.get(), owner)?;
        let finalizers = &slot.get().metadata.finalizers;
        if !finalizers.is_empty() {
            let finalizers = finalizers.iter().cloned().collect();
            return Err(StoreError::Finalizers { kind: K::NAME, id: id.into(), finalizers });
        }
        self.remove(slot, tail);
        Ok(())
    }

    /// Destroys the resource, now or when the last finalizer is removed. Tells whether it is gone.
    pub(crate) fn teardown(&self, owner: &str, id: &str) -> Result<bool, StoreError> {
        let mut state = self.write();
        self.teardown_locked(&mut state, owner, id)
    }

    fn teardown_locked(&self, state: &mut State<K>, owner: &str, id: &str) -> Result<bool, StoreError> {
        let State { items, tail } = state;
        let mut slot = occupied(items, id)?;
        check_owner(slot.get(), owner)?;
        let metadata = &slot.get().metadata;
        if metadata.finalizers.is_empty() {
            self.remove(slot, tail);
            return Ok(true);
        }
        if metadata.phase == Phase::Running {
            self.change(slot.get_mut(), tail, |metadata| metadata.phase = Phase::TearingDown);
        }
        Ok(false)
    }

    pub(crate) fn add_finalizer(&self, id: &str, finalizer: &str) -> Result<(), StoreError> {
        let mut state = self.write();
        let State { items, tail } = &mut *state;
        let resource = items.get_mut(id).ok_or_else(|| not_found::<K>(id))?;
        if resource.metadata.finalizers.contains(finalizer) {
            return Ok(());
        }
        check_running(resource)?;
        self.change(resource, tail, |metadata| {
            metadata.finalizers.insert(finalizer.into());
        });
        Ok(())
    }

    pub(crate) fn remove_finalizer(&self, id: &str, finalizer: &str) -> Result<(), StoreError> {
        let mut state = self.write();
        let State { items, tail } = &mut *state;
        let Ok(mut slot) = occupied(items, id) else { return Ok(()) };
        if !slot.get().metadata.finalizers.contains(finalizer) {
            return Ok(());
        }
        self.change(slot.get_mut(), tail, |metadata| {
            metadata.finalizers.remove(finalizer);
        });
        let metadata = &slot.get().metadata;
        if metadata.phase == Phase::TearingDown && metadata.finalizers.is_empty() {
            self.remove(slot, tail);
        }
        Ok(())
    }

    pub(crate) fn set_label(
        &self,
        owner: &str,
        id: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut state = self.write();
        let State { items, tail } = &mut *state;
        let resource = items.get_mut(id).ok_or_else(|| not_found::<K>(id))?;
        check_owner(resource, owner)?;
        if resource.metadata.labels.get(key).map(String::as_str) == value {
            return Ok(false);
        }
        self.change(resource, tail, |metadata| {
            match value {
                Some(value) => metadata.labels.insert(key.into(), value.into()),
                None => metadata.labels.remove(key),
            };
        });
        Ok(true)
    }

    /// Makes the owner's resources equal to `want`. Carries on after an error and gives the first one.
    pub(crate) fn sync_owned(&self, owner: &str, want: BTreeMap<String, K::Spec>) -> Result<(), StoreError> {
        let mut state = self.write();
        let owned = state.items.values().filter(|resource| resource.metadata.owner == owner);
        let obsolete: BTreeSet<_> =
            owned.map(|resource| resource.metadata.id.clone()).filter(|id| !want.contains_key(id)).collect();
        let mut result = Ok(());
        for id in obsolete {
            result = result.and(self.teardown_locked(&mut state, owner, &id).map(|_| ()));
        }
        for (id, spec) in want {
            result = result.and(self.put_locked(&mut state, owner, &id, spec).map(|_| ()));
        }
        result
    }

    /// Adds a watcher, and gives the events that bring it to the present state.
    pub(crate) fn subscribe(&self, queue: &Arc<Queue<Event<K>>>) -> VecDeque<Event<K>> {
        let mut state = self.write();
        state.tail.watchers.push(Arc::clone(queue));
        present(&state.items)
    }

    /// Empties the queue of a watcher, and gives the events that bring it to the present state.
    pub(crate) fn resubscribe(&self, queue: &Queue<Event<K>>) -> VecDeque<Event<K>> {
        let state = self.read();
        queue.reset();
        present(&state.items)
    }

    pub(crate) fn unsubscribe(&self, queue: &Arc<Queue<Event<K>>>) {
        self.write().tail.watchers.retain(|watcher| !Arc::ptr_eq(watcher, queue));
    }

    fn remove(&self, slot: Slot<'_, K>, tail: &mut Tail<K>) {
        let resource = slot.remove();
        tail.next();
        tail.tell(&resource, Event::Destroyed);
        self.hub.changed();
    }

    fn change(
        &self,
        resource: &mut Arc<Resource<K>>,
        tail: &mut Tail<K>,
        change: impl FnOnce(&mut Metadata),
    ) {
        let unique = Arc::make_mut(resource);
        change(&mut unique.metadata);
        unique.metadata.version = tail.next();
        unique.metadata.updated = Timestamp::now();
        tail.tell(resource, Event::Updated);
        self.hub.changed();
    }

    fn read(&self) -> RwLockReadGuard<'_, State<K>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<K>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn present<K: Kind>(items: &BTreeMap<Box<str>, Arc<Resource<K>>>) -> VecDeque<Event<K>> {
    items.values().cloned().map(Event::Present).chain([Event::Synced]).collect()
}

fn new_resource<K: Kind>(owner: &str, id: &str, version: u64, spec: K::Spec) -> Arc<Resource<K>> {
    let now = Timestamp::now();
    let metadata = Metadata {
        id: id.into(),
        version,
        phase: Phase::Running,
        owner: owner.into(),
        finalizers: BTreeSet::new(),
        labels: BTreeMap::new(),
        created: now,
        updated: now,
    };
    Arc::new(Resource { metadata, spec })
}

/// Puts a new spec in place. Nobody else holds the resource most of the time, and then nothing is allocated.
fn set_spec<K: Kind>(resource: &mut Arc<Resource<K>>, version: u64, spec: K::Spec) {
    let updated = Timestamp::now();
    if let Some(unique) = Arc::get_mut(resource) {
        unique.metadata.version = version;
        unique.metadata.updated = updated;
        unique.spec = spec;
    } else {
        let metadata = Metadata { version, updated, ..resource.metadata.clone() };
        *resource = Arc::new(Resource { metadata, spec });
    }
}

fn occupied<'a, K: Kind>(
    items: &'a mut BTreeMap<Box<str>, Arc<Resource<K>>>,
    id: &str,
) -> Result<Slot<'a, K>, StoreError> {
    match items.entry(id.into()) {
        Entry::Occupied(slot) => Ok(slot),
        Entry::Vacant(_) => Err(not_found::<K>(id)),
    }
}

fn check_owner<K: Kind>(resource: &Resource<K>, writer: &str) -> Result<(), StoreError> {
    let Metadata { id, owner, .. } = &resource.metadata;
    if owner == writer {
        return Ok(());
    }
    Err(StoreError::NotOwner { kind: K::NAME, id: id.clone(), owner: owner.clone(), writer: writer.into() })
}

fn check_running<K: Kind>(resource: &Resource<K>) -> Result<(), StoreError> {
    match resource.metadata.phase {
        Phase::Running => Ok(()),
        Phase::TearingDown => {
            Err(StoreError::TearingDown { kind: K::NAME, id: resource.metadata.id.clone() })
        }
    }
}

fn not_found<K: Kind>(id: &str) -> StoreError {
    StoreError::NotFound { kind: K::NAME, id: id.into() }
}
