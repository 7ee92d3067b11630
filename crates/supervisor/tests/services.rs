//! Real processes under the supervisor.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

use std::time::Duration;

use camino::Utf8PathBuf;
use corten_resources::runtime::{
    Directory, HealthCheck, Probe, Requirement, RestartPolicy, ServiceSpec, ServiceState, ServiceStatus,
};
use corten_store::Store;
use corten_supervisor::{EventBus, LogStore, Options, Supervisor, SupervisorError, SupervisorHandle};
use corten_sys::process::Reaper;
use tokio::time::{Instant, timeout};

struct Bench {
    store: Store,
    logs: LogStore,
    events: EventBus,
    handle: SupervisorHandle,
    dir: tempfile::TempDir,
}

impl Bench {
    fn start() -> Self {
        let (store, logs, events) = (Store::new(), LogStore::new(), EventBus::new());
        let reaper = Reaper::start().unwrap();
        let handle =
            Supervisor::start_with(store.clone(), reaper, logs.clone(), events.clone(), Options::default());
        Self { store, logs, events, handle, dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        Utf8PathBuf::from_path_buf(self.dir.path().join(name)).unwrap().into_string()
    }

    fn put(&self, id: &str, spec: ServiceSpec) {
        self.store.put::<ServiceSpec>("test", id, spec).unwrap();
    }

    async fn until(&self, id: &str, pred: impl Fn(&ServiceStatus) -> bool) -> ServiceStatus {
        let wait = self.store.wait_for::<ServiceStatus>(id, |status| status.is_some_and(&pred));
        if timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("{id} never got there: {:?}", self.store.get::<ServiceStatus>(id));
        }
        self.store.get::<ServiceStatus>(id).unwrap().spec.clone()
    }

    async fn state(&self, id: &str, state: ServiceState) -> ServiceStatus {
        self.until(id, |status| status.state == state).await
    }

    fn status(&self, id: &str) -> ServiceStatus {
        self.store.get::<ServiceStatus>(id).unwrap().spec.clone()
    }
}

fn sh(script: &str) -> ServiceSpec {
    ServiceSpec {
        command: vec!["/bin/sh".into(), "-c".into(), script.into()],
        environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        backoff_ms: (20, 100),
        failure_budget: 100,
        stop_timeout_ms: 500,
        ..ServiceSpec::default()
    }
}

fn requires(id: &str) -> Vec<Requirement> {
    vec![Requirement::Service(id.into())]
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn is_alive(pid: i32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn output_goes_to_the_log_and_states_to_the_events() {
    let bench = Bench::start();
    let spec =
        ServiceSpec { restart: RestartPolicy::Never, ..sh("echo out; echo err >&2; printf unfinished") };
    bench.put("talker", spec);
    let status = bench.state("talker", ServiceState::Finished).await;
    assert_eq!(status.last_exit.as_deref(), Some("exit code 0"));
    let mut follow = bench.logs.follow("talker", 10).unwrap();
    let mut lines = Vec::new();
    for _ in 0..3 {
        let line = timeout(Duration::from_secs(5), follow.next()).await.unwrap().unwrap();
        lines.push(line.text.to_string());
    }
    assert_eq!(lines, ["out", "err", "unfinished"]);
    let states: Vec<_> = bench.events.tail(10).iter().map(|event| event.fields["state"].clone()).collect();
    assert_eq!(states, ["preparing", "ready", "finished"]);
}

#[tokio::test]
async fn a_service_that_is_killed_ten_times_comes_back_ten_times() {
    let bench = Bench::start();
    bench.put("victim", sh("exec sleep 1000"));
    for round in 0..10 {
        let status = bench.until("victim", |status| status.ready && status.restarts == round).await;
        kill(status.pid.unwrap());
    }
    let status = bench.until("victim", |status| status.ready && status.restarts == 10).await;
    assert_eq!(status.last_exit.as_deref(), Some("killed by SIGKILL"));
    kill(status.pid.unwrap());
}

#[tokio::test]
async fn a_crash_loop_is_slowed_down_and_told() {
    let bench = Bench::start();
    let started = Instant::now();
    bench.put("crasher", ServiceSpec { failure_budget: 4, backoff_ms: (50, 400), ..sh("exit 3") });
    let status = bench.state("crasher", ServiceState::Failing).await;
    // Pauses of 50, 100, 200 and 400 ms, three quarters of each at least.
    assert!(started.elapsed() >= Duration::from_millis(560), "{:?}", started.elapsed());
    assert_eq!((status.restarts, status.ready), (5, false));
    assert!(
        status.message.contains("exit code 3") && status.message.contains("5 failures"),
        "{}",
        status.message
    );
    bench.until("crasher", |status| status.restarts == 6).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_and_tried_again() {
    let bench = Bench::start();
    let program = bench.path("late");
    let spec = ServiceSpec { command: vec![program.clone()], ..sh("") };
    bench.put("late", spec);
    let status = bench.until("late", |status| status.restarts == 2).await;
    assert!(status.message.contains("No such file"), "{}", status.message);
    std::os::unix::fs::symlink("/bin/cat", &program).unwrap();
    bench.until("late", |status| status.pid.is_some() || status.last_exit.is_some()).await;
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_at_its_deadline() {
    let bench = Bench::start();
    let file = bench.path("up");
    let spec = ServiceSpec {
        readiness: Some(Probe::Path { path: file.clone() }),
        ..sh(&format!("trap '' TERM; touch {file}; while :; do sleep 1; done"))
    };
    bench.put("stubborn", spec);
    let pid = bench.state("stubborn", ServiceState::Ready).await.pid.unwrap();
    let started = Instant::now();
    bench.handle.stop("stubborn").unwrap();
    let status = bench.state("stubborn", ServiceState::Stopped).await;
    let took = started.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_eq!(status.last_exit.as_deref(), Some("killed by SIGKILL"));
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn what_a_service_leaves_behind_ends_with_it() {
    let bench = Bench::start();
    let file = bench.path("child");
    bench.put("parent", sh(&format!("sleep 1000 & echo $! > {file}.new; mv {file}.new {file}; wait")));
    let status = bench.state("parent", ServiceState::Ready).await;
    while !std::path::Path::new(&file).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let child: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    bench.handle.stop("parent").unwrap();
    bench.state("parent", ServiceState::Stopped).await;
    assert!(!is_alive(status.pid.unwrap()));
    let gone = async {
        // Whoever adopts the orphan reaps it in its own time; a zombie is as good as gone.
        while std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), gone).await.expect("the child outlives its service");
}

#[tokio::test]
async fn a_service_that_never_gets_ready_says_why_and_holds_back_what_requires_it() {
    let bench = Bench::start();
    let probe = Probe::Unix { path: bench.path("socket") };
    bench.put("mute", ServiceSpec { readiness: Some(probe), ..sh("exec sleep 1000") });
    bench.put("user", ServiceSpec { requires: requires("mute"), ..sh("exec sleep 1000") });
    let status = bench.until("mute", |status| status.message.starts_with("not ready yet")).await;
    assert_eq!((status.state, status.ready), (ServiceState::Starting, false));
    let status = bench.until("user", |status| !status.waiting_for.is_empty()).await;
    assert_eq!(status.waiting_for, ["service mute"]);
    let _socket = tokio::net::UnixListener::bind(bench.path("socket")).unwrap();
    bench.state("mute", ServiceState::Ready).await;
    bench.state("user", ServiceState::Ready).await;
    bench.handle.stop_all(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn paths_and_resources_are_waited_for() {
    let bench = Bench::start();
    let path = bench.path("there");
    let resource = Requirement::Resource { kind: "ServiceSpec".into(), id: "other".into() };
    let list = vec![Requirement::Path(path.clone()), resource];
    bench.put("waiter", ServiceSpec { requires: list, ..sh("exec sleep 1000") });
    let status = bench.until("waiter", |status| status.waiting_for.len() == 2).await;
    assert_eq!(status.waiting_for, [format!("path {path}"), "ServiceSpec other".into()]);
    std::fs::write(&path, "").unwrap();
    bench.until("waiter", |status| status.waiting_for.len() == 1).await;
    bench.put("other", ServiceSpec { enabled: false, ..sh("true") });
    bench.state("waiter", ServiceState::Ready).await;
    bench.handle.stop_all(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_operators_stop_is_remembered_across_a_new_spec() {
    let bench = Bench::start();
    bench.put("held", sh("exec sleep 1000"));
    bench.state("held", ServiceState::Ready).await;
    bench.handle.stop("held").unwrap();
    bench.state("held", ServiceState::Stopped).await;
    bench.put("held", ServiceSpec { restart_on: "new".into(), ..sh("exec sleep 1000") });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.status("held").state, ServiceState::Stopped);
    bench.handle.start("held").unwrap();
    let status = bench.state("held", ServiceState::Ready).await;
    assert_eq!(status.restarts, 0);
    kill(status.pid.unwrap());
    assert_eq!(bench.handle.stop("nobody"), Err(SupervisorError::NotFound("nobody".into())));
    bench.handle.stop_all(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_changed_spec_restarts_the_process_and_a_changed_policy_does_not() {
    let bench = Bench::start();
    bench.put("service", sh("exec sleep 1000"));
    let first = bench.state("service", ServiceState::Ready).await.pid.unwrap();
    bench.put("service", ServiceSpec { failure_budget: 7, ..sh("exec sleep 1000") });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.status("service").pid, Some(first));
    bench.put("service", ServiceSpec { restart_on: "other files".into(), ..sh("exec sleep 1000") });
    let second = bench.until("service", |status| status.ready && status.pid != Some(first)).await;
    assert_eq!(second.restarts, 0, "a wanted restart is not a failure");
    bench.store.destroy::<ServiceSpec>("test", "service").unwrap();
    let gone = bench.store.wait_for::<ServiceStatus>("service", |status| status.is_none());
    timeout(Duration::from_secs(5), gone).await.unwrap();
    assert!(!is_alive(second.pid.unwrap()));
}

#[tokio::test]
async fn a_service_that_stops_answering_is_restarted() {
    let bench = Bench::start();
    let path = bench.path("healthy");
    std::fs::write(&path, "").unwrap();
    let probe = Probe::Path { path: path.clone() };
    let health = HealthCheck { probe, interval_ms: 20, timeout_ms: 1000, failures: 5 };
    bench.put("sick", ServiceSpec { health: Some(health), ..sh("exec sleep 1000") });
    let first = bench.state("sick", ServiceState::Ready).await.pid;
    std::fs::remove_file(&path).unwrap();
    let status = bench.state("sick", ServiceState::Unhealthy).await;
    assert!(status.message.contains("does not exist") && !status.ready, "{}", status.message);
    let status = bench.until("sick", |status| status.pid.is_some() && status.pid != first).await;
    assert_eq!(status.restarts, 1);
    bench.handle.stop_all(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn everything_is_stopped_in_reverse_order() {
    let bench = Bench::start();
    let log = bench.path("order");
    let script = |name: &str| {
        sh(&format!(
            "trap 'sleep 0.1; echo {name} >> {log}; exit 0' TERM; touch {log}.{name}; while :; do sleep 0.02; done"
        ))
    };
    let up = |name: &str| Some(Probe::Path { path: format!("{log}.{name}") });
    bench.put("a", ServiceSpec { readiness: up("a"), ..script("a") });
    bench.put("b", ServiceSpec { readiness: up("b"), requires: requires("a"), ..script("b") });
    bench.put("c", ServiceSpec { readiness: up("c"), requires: requires("b"), ..script("c") });
    bench.state("c", ServiceState::Ready).await;
    assert!(bench.handle.stop_all(Duration::from_secs(10)).await.is_empty());
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "c\nb\na\n");
    assert_eq!(bench.handle.start("a"), Err(SupervisorError::GoingDown));
}

#[tokio::test]
async fn stopping_everything_keeps_its_deadline_whatever_the_services_do() {
    let bench = Bench::start();
    let up = bench.path("up");
    let stubborn = |name: &str| ServiceSpec {
        readiness: Some(Probe::Path { path: format!("{up}.{name}") }),
        stop_timeout_ms: 60_000,
        ..sh(&format!("trap '' TERM; touch {up}.{name}; while :; do sleep 1; done"))
    };
    bench.put("a", stubborn("a"));
    bench.put("b", ServiceSpec { requires: requires("a"), ..stubborn("b") });
    let pids =
        [bench.state("a", ServiceState::Ready).await.pid, bench.state("b", ServiceState::Ready).await.pid];
    let started = Instant::now();
    let left = bench.handle.stop_all(Duration::from_secs(2)).await;
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    assert!(left.is_empty(), "{left:?}");
    assert!(pids.iter().flatten().all(|pid| !is_alive(*pid)));
}

#[tokio::test]
async fn directories_are_made_before_the_start() {
    let bench = Bench::start();
    let path = bench.path("one/two");
    let uid = rustix::process::getuid().as_raw();
    let directories = vec![Directory { path: path.clone(), mode: 0o700, uid }];
    bench.put(
        "tidy",
        ServiceSpec { directories, restart: RestartPolicy::Never, ..sh(&format!("touch {path}/file")) },
    );
    let status = bench.state("tidy", ServiceState::Finished).await;
    assert_eq!(status.last_exit.as_deref(), Some("exit code 0"));
    assert!(std::path::Path::new(&path).join("file").exists());
}
