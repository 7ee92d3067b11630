//! Names, signals and waiting.

use std::time::Duration;

use corten_store::{AnyEvent, Kind, Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Link {
    up: bool,
}
impl Kind for Link {
    const NAME: &'static str = "LinkStatus";
    const NAMESPACE: &'static str = "network";
    const ALIASES: &'static [&'static str] = &["links", "link"];
    type Spec = Self;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Secret(String);
impl Kind for Secret {
    const NAME: &'static str = "Secret";
    const NAMESPACE: &'static str = "secrets";
    const ALIASES: &'static [&'static str] = &["secrets"];
    const SENSITIVE: bool = true;
    type Spec = Self;
}

#[test]
fn kinds_are_found_by_name_and_alias_in_any_case() {
    let store = Store::new();
    store.register::<Link>();
    store.put::<Link>("o", "eth0", Link { up: true }).unwrap();
    for name in ["LinkStatus", "linkstatus", "links", "LINK"] {
        assert_eq!(store.list_any(name).unwrap()[0].spec, serde_json::json!({ "up": true }));
        assert!(store.contains(name, "eth0") && !store.contains(name, "eth1"));
    }
    assert_eq!(store.list_any("nothing"), Err(StoreError::UnknownKind("nothing".into())));
    assert_eq!(store.kinds().iter().map(|kind| kind.name).collect::<Vec<_>>(), ["LinkStatus"]);
}

#[test]
fn a_secret_does_not_show_in_debug_output() {
    let store = Store::new();
    let secret = store.create::<Secret>("o", "key", Secret("hunter2".into())).unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_watch_by_name_tells_the_same_story() {
    let store = Store::new();
    store.put::<Link>("o", "eth0", Link { up: false }).unwrap();
    let mut watch = store.watch_any("links").unwrap();
    assert!(matches!(watch.next().await.unwrap(), AnyEvent::Present(link) if link.metadata.id == "eth0"));
    assert_eq!(watch.next().await.unwrap(), AnyEvent::Synced);
    store.put::<Link>("o", "eth0", Link { up: true }).unwrap();
    store.destroy::<Link>("o", "eth0").unwrap();
    assert!(matches!(watch.next().await.unwrap(), AnyEvent::Updated(link) if link.spec["up"] == true));
    assert!(matches!(watch.next().await.unwrap(), AnyEvent::Destroyed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_signal_coalesces_and_names_the_kinds_that_changed() {
    let store = Store::new();
    let signal = store.changed(&[Link::NAME, Secret::NAME]); // before either is registered
    let silent = timeout(Duration::from_secs(1), signal.wait()).await;
    assert!(silent.is_err(), "nothing has changed");
    for n in 0..10 {
        store.put::<Link>("o", "eth0", Link { up: n % 2 == 0 }).unwrap();
    }
    assert_eq!(signal.wait().await, ["LinkStatus"]);
    assert!(timeout(Duration::from_secs(1), signal.wait()).await.is_err(), "ten changes, one wake-up");
    store.put::<Link>("o", "eth0", Link { up: false }).unwrap();
    assert!(timeout(Duration::from_secs(1), signal.wait()).await.is_err(), "the same again is no change");
    store.put::<Secret>("o", "key", Secret("a".into())).unwrap();
    assert_eq!(signal.wait().await, ["Secret"]);
}

#[tokio::test]
async fn waiting_ends_when_the_spec_is_right() {
    let store = Store::new();
    let waiter = store.clone();
    let task =
        tokio::spawn(async move { waiter.wait_for::<Link>("eth0", |link| link.is_some_and(|l| l.up)).await });
    store.put::<Link>("o", "eth0", Link { up: false }).unwrap();
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    store.put::<Link>("o", "eth0", Link { up: true }).unwrap();
    timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}
