//! Operations a second on one core, as one line of JSON: what `cargo xtask bench` shows.
//!
//! Time is processor time of the one thread, so that what else the machine does counts little.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails loudly")]

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use corten_store::{Event, Kind, Store, Watch};
use serde::{Deserialize, Serialize};

/// About 300 bytes, in strings and numbers, like most of our specs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    address: String,
    message: String,
    numbers: [u64; 8],
}
impl Kind for Item {
    const NAME: &'static str = "Item";
    const NAMESPACE: &'static str = "runtime";
    const ALIASES: &'static [&'static str] = &[];
    type Spec = Self;
}

const COUNT: u32 = 100_000;
const BATCH: usize = 512;

fn item(n: u32) -> Item {
    Item {
        name: format!("item-{n:012}"),
        address: format!("10.{}.{}.{}/24", n >> 16 & 255, n >> 8 & 255, n & 255),
        message: "x".repeat(150),
        numbers: [u64::from(n); 8],
    }
}

/// Time for `work` on each of `inputs`, which are made outside the measured time, in operations a second.
fn rate<T>(inputs: Vec<T>, mut work: impl FnMut(T)) -> u64 {
    let count = inputs.len();
    let start = cpu_time();
    inputs.into_iter().for_each(&mut work);
    per_second(count, cpu_time() - start)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a figure for people"
)]
fn per_second(count: usize, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64()) as u64
}

fn drain(watch: &mut Watch<Item>) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let mut events = 0;
    while let Poll::Ready(event) = watch.poll_next(&mut cx) {
        events += usize::from(!matches!(event.unwrap(), Event::Synced));
    }
    events
}

fn main() {
    let ids: Vec<String> = (0..COUNT).map(|n| format!("item-{n:08}")).collect();
    let specs =
        |shift: u32| ids.iter().cloned().zip((0..COUNT).map(move |n| item(n + shift))).collect::<Vec<_>>();
    let store = Store::new();
    let before = heap();
    let create = rate(specs(0), |(id, spec)| drop(store.create::<Item>("bench", &id, spec).unwrap()));
    let bytes = (heap() - before) / u64::from(COUNT);
    let get = rate(ids.clone(), |id| drop(store.get::<Item>(&id).unwrap()));
    let update = rate(specs(1), |(id, spec)| {
        let version = store.get::<Item>(&id).unwrap().metadata.version;
        store.update::<Item>("bench", &id, version, spec).unwrap();
    });
    let put = rate(specs(2), |(id, spec)| assert!(store.put::<Item>("bench", &id, spec).unwrap()));
    let put_same = rate(specs(2), |(id, spec)| assert!(!store.put::<Item>("bench", &id, spec).unwrap()));

    // A writer and a watcher taking turns on one core: the time is that of both.
    let mut watch = store.watch::<Item>();
    drain(&mut watch);
    let mut changes = specs(3).into_iter();
    let start = cpu_time();
    let mut delivered = 0;
    while delivered < ids.len() {
        for (id, spec) in changes.by_ref().take(BATCH) {
            store.put::<Item>("bench", &id, spec).unwrap();
        }
        delivered += drain(&mut watch);
    }
    let write_and_watch = per_second(delivered, cpu_time() - start);
    drop(watch);

    // The watcher alone: the present state of a full kind.
    let start = cpu_time();
    let delivered = drain(&mut store.watch::<Item>());
    let listed = per_second(delivered, cpu_time() - start);

    let deliver = delivery(&store, &ids);
    let destroy = rate(ids, |id| store.destroy::<Item>("bench", &id).unwrap());
    let report = serde_json::json!({
        "create_per_second": create, "get_per_second": get, "update_per_second": update, "put_per_second": put,
        "put_unchanged_per_second": put_same, "destroy_per_second": destroy, "watch_present_per_second": listed,
        "watch_delivery_per_second": deliver, "write_and_watch_per_second": write_and_watch,
        "heap_bytes_per_resource": bytes,
    });
    println!("{report}");
}

/// How fast a watcher takes changes that are waiting, the time of the writer left out.
fn delivery(store: &Store, ids: &[String]) -> u64 {
    let mut watch = store.watch::<Item>();
    drain(&mut watch);
    let (mut delivered, mut time) = (0, Duration::ZERO);
    for batch in ids.chunks(BATCH) {
        for id in batch {
            store.set_label::<Item>("bench", id, "seen", Some("again")).unwrap();
        }
        let start = cpu_time();
        delivered += drain(&mut watch);
        time += cpu_time() - start;
    }
    per_second(delivered, time)
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// Bytes of memory that this process holds.
fn heap() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
