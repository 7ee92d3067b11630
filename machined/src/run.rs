//! The running machine: builds each part in the order of its needs, starts it, and waits for the end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use corten_constants::paths;
use corten_controller::Runtime;
use corten_store::Store;
use corten_supervisor::{EventBus, LogStore, Supervisor};
use corten_sys::process::Reaper;
use tokio::sync::watch;

use crate::boot::cmdline::Cmdline;
use crate::boot::modules::Loader;
use crate::boot::record::Recorder;
use crate::boot::timeline::Timeline;
use crate::controllers::config::acquire::{Acquire, ConfigStore};
use crate::controllers::install::disks::Disks;
use crate::controllers::install::{Installation, Installs};
use crate::controllers::k8s::{
    cni::Cni, component_config::ComponentConfig, manifests::Manifests, node::NodeFollower,
};
use crate::controllers::runtime::bootstrap::{Bootstrap, Marker};
use crate::controllers::runtime::images::BootImages;
use crate::controllers::runtime::kernel::KernelSettings;
use crate::controllers::runtime::machine_status::MachineStatusController;
use crate::controllers::runtime::node_services::NodeServices;
use crate::controllers::runtime::persist::Persist;
use crate::controllers::runtime::random_seed::RandomSeed;
use crate::controllers::secrets::{api::ApiCertificate, kubernetes::KubernetesSecrets};
use crate::controllers::{block, hardware, network, time, update};
use crate::errors::chain;
use crate::kernel_ring::KernelRing;
use crate::node::{Node, Power, PowerAction, PowerRequest, StartedFrom};
use crate::update::Updates;
use crate::{boot, native, own_log, rpc, shutdown};

/// Between two attempts to serve the API.
const RETRY: Duration = Duration::from_secs(1);

/// For the last write of the boot's record.
const RECORD: Duration = Duration::from_secs(2);

/// Between two times that free memory goes back to the kernel. It takes some milliseconds.
const TRIM: Duration = Duration::from_secs(60);

/// A machine whose parts run.
#[derive(Debug)]
struct Running {
    node: Node,
    controllers: watch::Sender<bool>,
}

/// PID 1 of the root. Returns only when it was not started as such.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    if std::process::id() != 1 {
        return match arguments.next() {
            Some(word) if word == "native" => native::main(arguments),
            _ => ExitCode::FAILURE,
        };
    }
    #[cfg(feature = "faults")]
    crate::faults::at_start();
    let early = boot::early();
    let timeline = early.timeline.clone();
    let watchdog = early.watchdog.clone();
    let runtime = match runtime_of_tokio() {
        Ok(runtime) => runtime,
        Err(error) => boot::fatal::fatal(&error),
    };
    timeline.mark("runtime");
    runtime.block_on(async {
        let running = match start(early) {
            Ok(running) => running,
            Err(error) => boot::fatal::fatal(&error),
        };
        tokio::spawn(press(running.node.power.clone()));
        let request = running.node.power.wait().await;
        let _ = running.controllers.send(true); // nobody listens when the controllers are gone already
        record_end(&running.node.recorder, request.action).await;
        let parts =
            shutdown::Parts { supervisor: running.node.supervisor, logs: running.node.logs, watchdog };
        match shutdown::run(request, parts).await {}
    })
}

/// How this boot ended, for those after it. A disk that hangs does not keep the machine up.
async fn record_end(recorder: &Recorder, action: PowerAction) {
    let how = match action {
        PowerAction::Reboot => "reboot",
        PowerAction::PowerOff => "power off",
    };
    match tokio::time::timeout(RECORD, recorder.end(how)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = chain(&error), "the end of this boot is not recorded"),
        Err(_) => tracing::warn!("the end of this boot could not be recorded in time"),
    }
}

/// Two workers are enough: the machine's own work is waiting.
pub(crate) fn runtime_of_tokio() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
}

/// The parts that the API needs.
///
/// # Errors
/// When not even processes can be started.
pub(crate) fn node(timeline: Timeline) -> std::io::Result<(Node, Reaper)> {
    let logs = LogStore::new();
    own_log::start(logs.clone());
    let store = Store::new();
    corten_resources::register_all(&store);
    let reaper = Reaper::start()?;
    let events = EventBus::new();
    let supervisor = Supervisor::start(store.clone(), reaper.clone(), logs.clone(), events.clone());
    let kernel_log = KernelRing::default();
    let node = Node {
        store,
        supervisor,
        logs,
        events,
        recorder: Recorder::new(kernel_log.clone()),
        kernel_log,
        config: ConfigStore::default(),
        member: Marker::default(),
        power: Power::default(),
        timeline,
        started_from: StartedFrom::default(),
        installs: Installs::default(),
        updates: Updates::default(),
    };
    Ok((node, reaper))
}

/// Builds and starts everything.
fn start(early: boot::Early) -> std::io::Result<Running> {
    let (mut node, reaper) = node(early.timeline)?;
    node.started_from = StartedFrom { disk: early.root_disk, medium: early.medium };
    node.updates = Updates::new(node.started_from.disk.clone());
    if node.started_from.medium.is_some() {
        node.installs = Installs::new(Arc::new(Disks), node.store.clone());
    }
    let (controllers, stop) = watch::channel(false);
    let modules = early.modules;
    runtime(&node, reaper, early.cmdline, modules.clone()).start(stop);
    tokio::spawn(boot::heartbeat::run(node.store.clone(), early.heartbeat));
    tokio::spawn(boot::record::begin(node.recorder.clone(), node.started_from.disk.clone()));
    #[cfg(feature = "faults")]
    crate::faults::in_runtime();
    tokio::spawn(serve(node.clone()));
    tokio::spawn(keep_kernel_log(node.clone()));
    tokio::spawn(give_memory_back());
    if let Some(loader) = modules {
        tokio::spawn(boot::hotplug::run(loader));
    }
    if node.started_from.medium.is_some() {
        std::thread::Builder::new().name("keep".into()).spawn(keep_program)?;
    }
    Ok(Running { node, controllers })
}

/// All controllers, by area.
fn runtime(node: &Node, reaper: Reaper, cmdline: Cmdline, modules: Option<Loader>) -> Runtime {
    let mut all = Runtime::new(node.store.clone());
    block::add(&mut all, reaper.clone(), node.timeline.clone(), node.started_from.clone());
    let medium = node.started_from.medium.clone();
    all.add(Installation::new(node.installs.clone(), reaper, node.power.clone(), medium.clone()));
    let fetches_config = cmdline.get("corten.config.url").is_some();
    if let Err(error) = network::add(&mut all, fetches_config) {
        tracing::error!(
            error = chain(&error),
            "the kernel gives no netlink socket: there will be no network"
        );
    }
    hardware::add(&mut all);
    time::add(&mut all);
    all.add(
        Acquire::new(node.config.clone(), cmdline)
            .on_medium(medium.map(|name| (name, node.installs.clone()))),
    );
    all.add(ApiCertificate::default());
    all.add(KubernetesSecrets::default());
    all.add(NodeServices);
    all.add(KernelSettings::new(modules));
    all.add(Persist::new(node.logs.clone()));
    all.add(RandomSeed::default());
    all.add(MachineStatusController::new(node.power.clone(), node.timeline.clone()));
    all.add(Bootstrap::new(node.member.clone()));
    all.add(ComponentConfig);
    all.add(BootImages::default());
    all.add(NodeFollower::default());
    all.add(Cni);
    all.add(Manifests);
    update::add(&mut all, node);
    all
}

/// Serves the API for ever: whatever ends it is told, and it starts again.
async fn serve(node: Node) {
    #[cfg(feature = "faults")]
    crate::faults::hold("no-api").await;
    loop {
        let task = tokio::spawn(rpc::serve(node.clone(), paths::MACHINED_SOCKET));
        match task.await {
            Ok(Ok(())) => tracing::error!("the API ended by itself"),
            Ok(Err(error)) => tracing::error!(error = chain(&error), "the API is not served"),
            Err(panic) => tracing::error!(%panic, "the API died"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Whoever stands at the machine may send it down, as often as they press.
async fn press(power: Power) {
    loop {
        let action = boot::power::requested().await;
        power.ask(PowerRequest { action, ..PowerRequest::default() });
    }
}

/// The boot leaves a heap that is mostly holes: images, manifests and certificates have gone through it. What is left at
/// the end of the heap keeps malloc from giving any of it back by itself.
async fn give_memory_back() {
    loop {
        tokio::time::sleep(TRIM).await;
        corten_sys::memory::trim();
    }
}

/// The medium may be pulled out while the system runs from it, and a page of the program that was never read would then
/// be the end of PID 1. What was read stays in memory, unless that gets short.
fn keep_program() {
    let _ = corten_sys::system::be_nice(10);
    let read = File::open("/proc/self/exe").and_then(|mut file| io::copy(&mut file, &mut io::sink()));
    match read {
        Ok(_) => boot::fatal::note("the program is kept in memory"),
        Err(error) => tracing::warn!(%error, "the program cannot be kept in memory: leave the medium in"),
    }
}

/// Into the ring for `osctl dmesg`, and as lines into the logs.
async fn keep_kernel_log(node: Node) {
    boot::kernel_log::run(|record| {
        node.logs.append("kernel", boot::kernel_log::line(&record));
        node.kernel_log.push(record);
    })
    .await;
}
