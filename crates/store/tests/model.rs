//! Random operations against the store and against a model of it; and what watchers make of the same operations.
#![expect(clippy::panic, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll, Waker};

use corten_store::{Event, Kind, Metadata, Phase, Store, StoreError, Watch};
use proptest::prelude::*;

enum Number {}
impl Kind for Number {
    const NAME: &'static str = "Number";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &["numbers"];
    type Spec = u8;
}

#[derive(Debug, Clone)]
enum Op {
    Create { owner: u8, id: u8, spec: u8 },
    Update { owner: u8, id: u8, stale: bool, spec: u8 },
    Put { owner: u8, id: u8, spec: u8 },
    Destroy { owner: u8, id: u8 },
    Teardown { owner: u8, id: u8 },
    AddFinalizer { id: u8, finalizer: u8 },
    RemoveFinalizer { id: u8, finalizer: u8 },
    SetLabel { owner: u8, id: u8, value: Option<u8> },
    SyncOwned { owner: u8, want: BTreeMap<u8, u8> },
}

fn op() -> impl Strategy<Value = Op> {
    let (owner, id, spec) = (0..2_u8, 0..6_u8, 0..4_u8);
    let own = (owner.clone(), id.clone());
    prop_oneof![
        4 => (own.clone(), spec.clone()).prop_map(|((owner, id), spec)| Op::Create { owner, id, spec }),
        3 => (own.clone(), any::<bool>(), spec.clone())
            .prop_map(|((owner, id), stale, spec)| Op::Update { owner, id, stale, spec }),
        4 => (own.clone(), spec.clone()).prop_map(|((owner, id), spec)| Op::Put { owner, id, spec }),
        2 => own.clone().prop_map(|(owner, id)| Op::Destroy { owner, id }),
        2 => own.clone().prop_map(|(owner, id)| Op::Teardown { owner, id }),
        2 => (id.clone(), 0..2_u8).prop_map(|(id, finalizer)| Op::AddFinalizer { id, finalizer }),
        3 => (id.clone(), 0..2_u8).prop_map(|(id, finalizer)| Op::RemoveFinalizer { id, finalizer }),
        1 => (own, prop::option::of(0..3_u8)).prop_map(|((owner, id), value)| Op::SetLabel { owner, id, value }),
        1 => (owner, prop::collection::btree_map(id, spec, 0..4)).prop_map(|(owner, want)| Op::SyncOwned { owner, want }),
    ]
}

/// What the store should hold, without versions and times.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    owner: String,
    spec: u8,
    tearing_down: bool,
    finalizers: BTreeSet<String>,
    labels: BTreeMap<String, String>,
}

type Model = BTreeMap<String, Item>;

/// An error, without its details.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refusal {
    NotFound,
    Exists,
    Conflict,
    NotOwner,
    Finalizers,
    TearingDown,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::NotFound,
            StoreError::Exists { .. } => Self::Exists,
            StoreError::Conflict { .. } => Self::Conflict,
            StoreError::NotOwner { .. } => Self::NotOwner,
            StoreError::Finalizers { .. } => Self::Finalizers,
            StoreError::TearingDown { .. } => Self::TearingDown,
            StoreError::UnknownKind(kind) => panic!("{kind} is known"),
        }
    }
}

fn name(number: u8) -> String {
    format!("n{number}")
}

fn owned(model: &mut Model, owner: u8, id: u8) -> Result<&mut Item, Refusal> {
    let item = model.get_mut(&name(id)).ok_or(Refusal::NotFound)?;
    if item.owner == name(owner) { Ok(item) } else { Err(Refusal::NotOwner) }
}

fn model_put(model: &mut Model, owner: u8, id: u8, spec: u8) -> Result<bool, Refusal> {
    match owned(model, owner, id) {
        Err(Refusal::NotFound) => {
            let (finalizers, labels) = (BTreeSet::new(), BTreeMap::new());
            let item = Item { owner: name(owner), spec, tearing_down: false, finalizers, labels };
            model.insert(name(id), item);
            Ok(true)
        }
        Err(other) => Err(other),
        Ok(item) if item.tearing_down => Err(Refusal::TearingDown),
        Ok(item) => Ok(std::mem::replace(&mut item.spec, spec) != spec),
    }
}

fn model_teardown(model: &mut Model, owner: u8, id: u8) -> Result<bool, Refusal> {
    let item = owned(model, owner, id)?;
    if !item.finalizers.is_empty() {
        item.tearing_down = true;
        return Ok(false);
    }
    model.remove(&name(id));
    Ok(true)
}

fn apply_to_model(model: &mut Model, op: &Op) -> Result<bool, Refusal> {
    match op {
        Op::Create { id, .. } if model.contains_key(&name(*id)) => Err(Refusal::Exists),
        Op::Create { owner, id, spec } => model_put(model, *owner, *id, *spec),
        Op::Update { owner, id, stale, spec } => {
            let item = owned(model, *owner, *id)?;
            if item.tearing_down {
                return Err(Refusal::TearingDown);
            }
            if *stale {
                return Err(Refusal::Conflict);
            }
            item.spec = *spec;
            Ok(true)
        }
        Op::Put { owner, id, spec } => model_put(model, *owner, *id, *spec),
        Op::Destroy { owner, id } => {
            if !owned(model, *owner, *id)?.finalizers.is_empty() {
                return Err(Refusal::Finalizers);
            }
            model.remove(&name(*id));
            Ok(true)
        }
        Op::Teardown { owner, id } => model_teardown(model, *owner, *id),
        Op::AddFinalizer { id, finalizer } => {
            let item = model.get_mut(&name(*id)).ok_or(Refusal::NotFound)?;
            if item.tearing_down && !item.finalizers.contains(&name(*finalizer)) {
                return Err(Refusal::TearingDown);
            }
            item.finalizers.insert(name(*finalizer));
            Ok(true)
        }
        Op::RemoveFinalizer { id, finalizer } => {
            if let Some(item) = model.get_mut(&name(*id)) {
                item.finalizers.remove(&name(*finalizer));
                if item.tearing_down && item.finalizers.is_empty() {
                    model.remove(&name(*id));
                }
            }
            Ok(true)
        }
        Op::SetLabel { owner, id, value } => {
            let labels = &mut owned(model, *owner, *id)?.labels;
            let before = labels.clone();
            match value {
                Some(value) => labels.insert("label".into(), name(*value)),
                None => labels.remove("label"),
            };
            Ok(before != *labels)
        }
        Op::SyncOwned { owner, want } => {
            let obsolete: Vec<u8> =
                (0..6).filter(|id| owned(model, *owner, *id).is_ok() && !want.contains_key(id)).collect();
            let mut result = Ok(true);
            for id in obsolete {
                result = result.and(model_teardown(model, *owner, id).map(|_| true));
            }
            for (id, spec) in want {
                result = result.and(model_put(model, *owner, *id, *spec).map(|_| true));
            }
            result
        }
    }
}

fn apply_to_store(store: &Store, op: &Op) -> Result<bool, Refusal> {
    let result = match op {
        Op::Create { owner, id, spec } => {
            store.create::<Number>(&name(*owner), &name(*id), *spec).map(|_| true)
        }
        Op::Update { owner, id, stale, spec } => {
            let version = store.get::<Number>(&name(*id)).map_or(0, |resource| resource.metadata.version);
            let expected = version + u64::from(*stale);
            store.update::<Number>(&name(*owner), &name(*id), expected, *spec).map(|_| true)
        }
        Op::Put { owner, id, spec } => store.put::<Number>(&name(*owner), &name(*id), *spec),
        Op::Destroy { owner, id } => store.destroy::<Number>(&name(*owner), &name(*id)).map(|()| true),
        Op::Teardown { owner, id } => store.teardown::<Number>(&name(*owner), &name(*id)),
        Op::AddFinalizer { id, finalizer } => {
            store.add_finalizer::<Number>(&name(*id), &name(*finalizer)).map(|()| true)
        }
        Op::RemoveFinalizer { id, finalizer } => {
            store.remove_finalizer::<Number>(&name(*id), &name(*finalizer)).map(|()| true)
        }
        Op::SetLabel { owner, id, value } => {
            let value = value.map(name);
            store.set_label::<Number>(&name(*owner), &name(*id), "label", value.as_deref())
        }
        Op::SyncOwned { owner, want } => {
            let want = want.iter().map(|(id, spec)| (name(*id), *spec)).collect();
            store.sync_owned::<Number>(&name(*owner), want).map(|()| true)
        }
    };
    result.map_err(Refusal::from)
}

fn item(metadata: &Metadata, spec: u8) -> Item {
    Item {
        owner: metadata.owner.clone(),
        spec,
        tearing_down: metadata.phase == Phase::TearingDown,
        finalizers: metadata.finalizers.clone(),
        labels: metadata.labels.clone(),
    }
}

/// What a watcher knows.
#[derive(Default)]
struct Seen {
    items: Model,
    listing: BTreeSet<String>,
    versions: BTreeMap<String, u64>,
    lags: usize,
}

impl Seen {
    /// Takes all events that are there, and checks that they make sense.
    fn follow(&mut self, watch: &mut Watch<Number>) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(event) = watch.poll_next(&mut cx) {
            match event {
                Err(_) => {
                    self.lags += 1;
                    self.listing.clear();
                }
                Ok(Event::Synced) => {
                    let listing = std::mem::take(&mut self.listing);
                    self.items.retain(|id, _| listing.contains(id));
                }
                Ok(Event::Present(resource)) => {
                    self.listing.insert(resource.id().into());
                    self.items.insert(resource.id().into(), item(&resource.metadata, resource.spec));
                }
                Ok(Event::Created(resource)) => {
                    let old =
                        self.items.insert(resource.id().into(), item(&resource.metadata, resource.spec));
                    assert_eq!(old, None, "created twice");
                    self.grows(&resource.metadata);
                }
                Ok(Event::Updated(resource)) => {
                    let old =
                        self.items.insert(resource.id().into(), item(&resource.metadata, resource.spec));
                    assert!(old.is_some(), "updated before it was created");
                    self.grows(&resource.metadata);
                }
                Ok(Event::Destroyed(resource)) => {
                    let last = self.items.remove(resource.id());
                    assert_eq!(
                        last,
                        Some(item(&resource.metadata, resource.spec)),
                        "destroyed at an unknown version"
                    );
                }
            }
        }
    }

    fn grows(&mut self, metadata: &Metadata) {
        let old = self.versions.insert(metadata.id.clone(), metadata.version).unwrap_or(0);
        assert!(metadata.version > old, "version {} after {old}", metadata.version);
    }
}

proptest! {
    #[test]
    fn the_store_does_what_the_model_does_and_watchers_see_it(
        ops in prop::collection::vec((op(), any::<bool>()), 0..200),
        late in 0..200_usize,
    ) {
        let store = Store::new();
        let mut model = Model::new();
        let (mut early, mut seen_early) = (store.watch::<Number>(), Seen::default());
        let mut watches: Vec<(Watch<Number>, Seen)> = Vec::new();
        for (index, (op, look)) in ops.iter().enumerate() {
            if index == late {
                watches.push((store.watch::<Number>(), Seen::default()));
            }
            prop_assert_eq!(apply_to_store(&store, op), apply_to_model(&mut model, op), "{:?}", op);
            if *look {
                seen_early.follow(&mut early);
                prop_assert_eq!(&seen_early.items, &model);
            }
            let held: Model =
                store.list::<Number>().iter().map(|r| (r.id().to_owned(), item(&r.metadata, r.spec))).collect();
            prop_assert_eq!(&held, &model);
        }
        watches.push((early, seen_early));
        for (mut watch, mut seen) in watches {
            seen.follow(&mut watch);
            prop_assert_eq!(seen.items, model.clone());
            prop_assert_eq!(seen.lags, 0);
        }
    }
}

#[test]
fn a_watcher_that_is_too_slow_is_told_and_gets_the_present_state() {
    let store = Store::new();
    store.create::<Number>("o", "old", 1).unwrap();
    let (mut watch, mut seen) = (store.watch::<Number>(), Seen::default());
    seen.follow(&mut watch);
    store.destroy::<Number>("o", "old").unwrap();
    for n in 0..2000_u32 {
        store.put::<Number>("o", "new", u8::try_from(n % 7).unwrap()).unwrap();
    }
    seen.follow(&mut watch);
    assert_eq!(seen.lags, 1);
    assert_eq!(seen.items.keys().collect::<Vec<_>>(), ["new"]);
    store.put::<Number>("o", "new", 9).unwrap();
    seen.follow(&mut watch);
    assert_eq!((seen.lags, seen.items["new"].spec), (1, 9));
}

#[test]
fn watchers_see_what_writers_in_other_threads_do() {
    let store = Store::new();
    let (mut watch, mut seen) = (store.watch::<Number>(), Seen::default());
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..500_u32 {
                    let id = name(u8::try_from(n % 6).unwrap() + 10 * thread);
                    store.put::<Number>("o", &id, u8::try_from(n % 250).unwrap()).unwrap();
                    if n % 5 == 0 {
                        store.destroy::<Number>("o", &id).unwrap();
                    }
                }
            });
        }
        for _ in 0..100 {
            seen.follow(&mut watch);
            std::thread::yield_now();
        }
    });
    seen.follow(&mut watch);
    let held: Model =
        store.list::<Number>().iter().map(|r| (r.id().to_owned(), item(&r.metadata, r.spec))).collect();
    assert_eq!(seen.items, held);
}
