//! Calls a node again and again, and says as one line of JSON how fast it answers: for `cargo xtask bench`.
//!
//! `load CONTEXTS-FILE SECONDS CONNECTIONS IN-FLIGHT`
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a benchmark fails loudly")]

use std::time::{Duration, Instant};

use corten_api::v1::VersionRequest;
use corten_client::{Client, Contexts, Options};

const WARM_UP: Duration = Duration::from_millis(500);

/// Calls for a while from each caller; how long each call took, in microseconds.
async fn run(clients: &[Client], in_flight: usize, time: Duration) -> Vec<u32> {
    let start = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for client in clients.iter().cycle().take(in_flight) {
        let mut machine = client.machine();
        callers.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < time {
                let called = Instant::now();
                machine.version(VersionRequest {}).await.unwrap();
                latencies.push(u32::try_from(called.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            latencies
        });
    }
    callers.join_all().await.concat()
}

/// Processor time of this process, in microseconds.
fn cpu_time_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap() * 10_000).sum()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, seconds, connections, in_flight] = arguments.as_slice() else {
        panic!("load CONTEXTS-FILE SECONDS CONNECTIONS IN-FLIGHT")
    };
    let contexts = Contexts::load(file.as_ref()).unwrap();
    let (_, context) = contexts.get(None).unwrap();
    let node = context.endpoints.first().unwrap();
    let mut clients = Vec::new();
    for _ in 0..connections.parse().unwrap() {
        clients.push(Client::connect(context, node, Options::default()).await.unwrap());
    }
    let in_flight = in_flight.parse().unwrap();
    let warm_up = run(&clients, in_flight, WARM_UP).await.len();
    let (start, cpu) = (Instant::now(), cpu_time_us());
    let mut latencies = run(&clients, in_flight, Duration::from_secs_f64(seconds.parse().unwrap())).await;
    let (took, cpu) = (start.elapsed(), cpu_time_us() - cpu);
    latencies.sort_unstable();
    let calls = latencies.len();
    let at = |percent: usize| latencies.get(calls * percent / 100).copied().unwrap_or_default();
    let report = serde_json::json!({
        "calls": calls, "warm_up_calls": warm_up, "seconds": took.as_secs_f64(), "median_us": at(50), "p99_us": at(99), "client_cpu_us": cpu,
    });
    println!("{report}");
}
