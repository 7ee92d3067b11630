//! The API over a real socket, as apid would use it.

use std::collections::BTreeSet;
use std::time::Duration;

use corten_api::access::{self, ADMIN, OPERATOR, READER};
use corten_api::v1::{
    self, config_service_client::ConfigServiceClient, log_service_client::LogServiceClient,
    machine_service_client::MachineServiceClient, resource_service_client::ResourceServiceClient,
    service_service_client::ServiceServiceClient, storage_service_client::StorageServiceClient,
};
use corten_api::{codes, error, peer};
use corten_config::GenOptions;
use corten_resources::block::DiskStatus;
use corten_resources::config::MachineConfig;
use corten_resources::install::{InstallPhase, InstallStatus};
use corten_resources::runtime::{MACHINE, ServiceSpec, ServiceStatus};
use corten_store::Store;
use corten_supervisor::{EventBus, LogStore, Supervisor};
use corten_sys::process::Reaper;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::node::{Node, PowerAction, PowerRequest, StartedFrom, WipePlan};

const PATIENCE: Duration = Duration::from_secs(10);

struct Bench {
    node: Node,
    socket: String,
    _dir: tempfile::TempDir,
}

type Client = InterceptedService<Channel, Vouch>;

/// Says who calls, as apid does.
#[derive(Clone)]
struct Vouch(&'static str);

impl tonic::service::Interceptor for Vouch {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let roles = peer::encode_roles(&self.0.split(',').collect::<Vec<_>>());
        request.metadata_mut().insert(peer::NAME, peer::encode("Älice").parse().unwrap());
        request.metadata_mut().insert(peer::ROLES, roles.parse().unwrap());
        Ok(request)
    }
}

impl Bench {
    /// A machine that has a config, unless it shall be in maintenance.
    fn start(configured: bool) -> Self {
        Self::start_from(configured, StartedFrom::default())
    }

    fn start_from(configured: bool, started_from: StartedFrom) -> Self {
        let (store, logs, events) = (Store::new(), LogStore::new(), EventBus::new());
        corten_resources::register_all(&store);
        let reaper = Reaper::start().unwrap();
        let node = Node {
            supervisor: Supervisor::start(store.clone(), reaper, logs.clone(), events.clone()),
            store,
            logs,
            events,
            kernel_log: Default::default(),
            recorder: crate::boot::record::Recorder::new(Default::default()),
            config: Default::default(),
            member: Default::default(),
            power: Default::default(),
            timeline: Default::default(),
            started_from,
            updates: crate::update::Updates::default(),
            installs: Default::default(),
        };
        if configured {
            let spec = MachineConfig {
                generation: 1,
                digest: "d".into(),
                source: "api".into(),
                text: "hunter2".into(),
            };
            node.store.put::<MachineConfig>("test", MachineConfig::ACTIVE, spec).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("machined.sock").to_str().unwrap().to_owned();
        let (served, path) = (node.clone(), socket.clone());
        tokio::spawn(async move { super::serve(served, &path).await });
        Self { node, socket, _dir: dir }
    }

    fn client(&self, roles: &'static str) -> Client {
        let path = self.socket.clone();
        let connect = tower::service_fn(move |_: http::Uri| {
            let path = path.clone();
            async move {
                while !std::path::Path::new(&path).exists() {
                    tokio::task::yield_now().await;
                }
                UnixStream::connect(&path).await.map(TokioIo::new)
            }
        });
        let channel = Endpoint::from_static("http://machined").connect_with_connector_lazy(connect);
        InterceptedService::new(channel, Vouch(roles))
    }
}

fn code(status: &Status) -> String {
    error::from_status(status).map(|detail| detail.code).unwrap_or_default()
}

#[tokio::test]
async fn every_method_is_refused_to_every_role_that_its_rule_does_not_name() {
    let bench = Bench::start(true);
    let everybody = access::ROLES.iter().copied().chain(["", "os:root"]);
    for role in everybody {
        for (path, rule) in access::table() {
            let mut grpc = tonic::client::Grpc::new(bench.client(role));
            grpc.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            let call = grpc.server_streaming(Request::new(()), path.parse().unwrap(), codec);
            let refused = match timeout(PATIENCE, call).await.unwrap() {
                Ok(_) => false,
                Err(status) => code(&status) == codes::ACCESS_DENIED,
            };
            assert_eq!(refused, !rule.roles.iter().any(|allowed| allowed == role), "{path} as {role:?}");
        }
    }
}

#[tokio::test]
async fn a_reboot_needs_the_role_and_leaves_a_trace() {
    let bench = Bench::start(true);
    let request = || v1::RebootRequest { force: false };
    let refused = MachineServiceClient::new(bench.client(READER)).reboot(request()).await.unwrap_err();
    assert_eq!((refused.code(), bench.node.power.current()), (Code::PermissionDenied, None));
    MachineServiceClient::new(bench.client(OPERATOR)).reboot(request()).await.unwrap();
    let asked = timeout(PATIENCE, bench.node.power.wait()).await.unwrap();
    assert_eq!(asked, PowerRequest { action: PowerAction::Reboot, ..PowerRequest::default() });
    let event = bench.node.events.tail(1).remove(0);
    assert_eq!((event.kind.as_str(), event.message.as_str()), ("api.call", "Älice asked: reboot"));
}

#[tokio::test]
async fn a_reset_says_what_comes_and_goes_down_with_a_plan() {
    let bench = Bench::start(true);
    let disk = DiskStatus { system: true, ..DiskStatus::default() };
    bench.node.store.put::<DiskStatus>("test", "vda", disk).unwrap();
    let mut client = MachineServiceClient::new(bench.client(ADMIN));
    let nothing = client.reset(v1::ResetRequest::default()).await.unwrap_err();
    assert_eq!((code(&nothing).as_str(), bench.node.power.current()), (codes::REQUEST_INVALID, None));
    let request = v1::ResetRequest { state: true, force: true, ..Default::default() };
    let mut answers = client.reset(request).await.unwrap().into_inner();
    let mut steps = Vec::new();
    while let Some(progress) = answers.message().await.unwrap() {
        steps.push((progress.step, progress.finished));
    }
    assert_eq!(steps, [("plan".to_owned(), false), ("going-down".to_owned(), true)]);
    let asked = timeout(PATIENCE, bench.node.power.wait()).await.unwrap();
    let wipe = WipePlan { state: true, device: "vda".into(), ..WipePlan::default() };
    assert_eq!(asked, PowerRequest { action: PowerAction::Reboot, force: true, wipe: Some(wipe) });
    let twice = client.reset(request).await.unwrap_err();
    assert_eq!(code(&twice), codes::MACHINE_STOPPING);
}

#[tokio::test]
async fn on_a_medium_a_config_without_a_disk_is_refused_and_on_a_disk_there_is_nothing_to_watch() {
    let watch = async |bench: &Bench| {
        let mut storage = StorageServiceClient::new(bench.client(""));
        storage.watch_install(v1::WatchInstallRequest {}).await
    };
    let refused = watch(&Bench::start(false)).await.unwrap_err();
    assert_eq!(code(&refused), codes::NOT_FOUND);
    let bench = Bench::start_from(false, StartedFrom { medium: Some("sr0".into()), disk: None });
    let secrets = corten_pki::SecretsBundle::generate().unwrap();
    let options = GenOptions::new("test", "https://192.0.2.10:6443".parse().unwrap(), secrets);
    let config = corten_config::generate(&options).unwrap().controlplane_yaml;
    let request = v1::ApplyConfigRequest { config, ..Default::default() };
    let refused = ConfigServiceClient::new(bench.client("")).apply(request).await.unwrap_err();
    assert_eq!(code(&refused), codes::INSTALL_REQUIRED);
    let failed =
        InstallStatus { phase: InstallPhase::Failed, error: "gone".into(), ..InstallStatus::default() };
    bench.node.store.put::<InstallStatus>("test", MACHINE, failed).unwrap();
    let mut progress = watch(&bench).await.unwrap().into_inner();
    assert_eq!(code(&progress.message().await.unwrap_err()), codes::INSTALL_FAILED);
}

#[tokio::test]
async fn in_maintenance_a_caller_without_a_certificate_may_only_look_and_bring_a_config() {
    let bench = Bench::start(false);
    let mut config = ConfigServiceClient::new(bench.client(""));
    let request = v1::ApplyConfigRequest { config: "kind: Nonsense".into(), ..Default::default() };
    let refused = config.apply(request).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::InvalidArgument, codes::CONFIG_INVALID));
    MachineServiceClient::new(bench.client("")).status(v1::StatusRequest {}).await.unwrap();
    let mut services = ServiceServiceClient::new(bench.client(ADMIN));
    let refused = services.list(v1::ListServicesRequest {}).await.unwrap_err();
    assert_eq!(code(&refused), codes::MACHINE_MAINTENANCE);
    let mut resources = ResourceServiceClient::new(bench.client(""));
    let list = |kind: &str| v1::ListResourcesRequest { kind: kind.into() };
    resources.list(list("links")).await.unwrap();
    assert_eq!(resources.list(list("services")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn secrets_exist_for_administrators_only() {
    let bench = Bench::start(true);
    let request = || v1::GetResourceRequest { kind: "mc".into(), id: MachineConfig::ACTIVE.into() };
    let mut reader = ResourceServiceClient::new(bench.client(READER));
    assert_eq!(reader.get(request()).await.unwrap_err().code(), Code::NotFound);
    let watch = v1::WatchResourcesRequest { kind: "MachineConfig".into(), id: String::new() };
    assert_eq!(reader.watch(watch).await.unwrap_err().code(), Code::NotFound);
    let names =
        |kinds: v1::KindsResponse| kinds.kinds.into_iter().map(|kind| kind.name).collect::<BTreeSet<_>>();
    assert!(!names(reader.kinds(v1::KindsRequest {}).await.unwrap().into_inner()).contains("MachineConfig"));
    let mut admin = ResourceServiceClient::new(bench.client(ADMIN));
    assert!(names(admin.kinds(v1::KindsRequest {}).await.unwrap().into_inner()).contains("MachineConfig"));
    let resource = admin.get(request()).await.unwrap().into_inner().resource.unwrap();
    assert!(resource.spec_json.contains("hunter2"));
}

#[tokio::test]
async fn a_watch_gives_the_present_and_then_each_change() {
    let bench = Bench::start(true);
    let put = |id: &str, enabled| {
        let spec = ServiceSpec { enabled, ..ServiceSpec::default() };
        bench.node.store.put::<ServiceSpec>("test", id, spec).unwrap();
    };
    put("a", false);
    put("b", false);
    let mut client = ResourceServiceClient::new(bench.client(READER));
    let request = v1::WatchResourcesRequest { kind: "servicespecs".into(), id: "a".into() };
    let mut answers = client.watch(request).await.unwrap().into_inner();
    let mut seen = Vec::new();
    for step in 0..4 {
        let answer = timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap();
        seen.push(answer.event());
        match step {
            1 => {
                bench.node.store.set_label::<ServiceSpec>("test", "b", "other", Some("change")).unwrap();
                bench.node.store.set_label::<ServiceSpec>("test", "a", "own", Some("change")).unwrap();
            }
            2 => bench.node.store.destroy::<ServiceSpec>("test", "a").unwrap(),
            _ => {}
        }
    }
    use v1::WatchEvent::{Destroyed, Present, Synced, Updated};
    assert_eq!(seen, [Present, Synced, Updated, Destroyed]);
}

#[tokio::test]
async fn services_are_stopped_started_and_restarted() {
    let bench = Bench::start(true);
    let spec = ServiceSpec { command: vec!["/bin/sleep".into(), "1000".into()], ..ServiceSpec::default() };
    bench.node.store.put::<ServiceSpec>("test", "sleeper", spec).unwrap();
    let ready =
        || bench.node.store.wait_for::<ServiceStatus>("sleeper", |status| status.is_some_and(|s| s.ready));
    timeout(PATIENCE, ready()).await.unwrap();
    let mut client = ServiceServiceClient::new(bench.client(OPERATOR));
    let id = || "sleeper".to_owned();
    let first = client.list(v1::ListServicesRequest {}).await.unwrap().into_inner().services.remove(0);
    assert_eq!((first.id.as_str(), first.state.as_str(), first.pid > 0), ("sleeper", "ready", true));
    let stopped =
        client.stop(v1::StopServiceRequest { id: id() }).await.unwrap().into_inner().service.unwrap();
    assert!(["stopping", "stopped"].contains(&stopped.state.as_str()), "{}", stopped.state);
    client.start(v1::StartServiceRequest { id: id() }).await.unwrap();
    timeout(PATIENCE, ready()).await.unwrap();
    client.restart(v1::RestartServiceRequest { id: id() }).await.unwrap();
    timeout(PATIENCE, ready()).await.unwrap();
    let unknown = client.start(v1::StartServiceRequest { id: "nobody".into() }).await.unwrap_err();
    assert_eq!(code(&unknown), codes::NOT_FOUND);
    bench.node.supervisor.stop_all(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_way_in_is_not_stopped_and_the_refusal_says_what_to_do_instead() {
    let bench = Bench::start(true);
    let mut client = ServiceServiceClient::new(bench.client(ADMIN));
    let refused = client.stop(v1::StopServiceRequest { id: "apid".into() }).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::FailedPrecondition, codes::SERVICE_STATE));
    assert!(error::from_status(&refused).unwrap().hint.contains("restart"));
}

#[tokio::test]
async fn a_message_is_as_large_as_its_service_needs_and_no_larger() {
    let bench = Bench::start(true);
    let text = "#\n".repeat(64 << 10);
    let mut resources = ResourceServiceClient::new(bench.client(READER));
    let refused = resources.list(v1::ListResourcesRequest { kind: text.clone() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    let mut config = ConfigServiceClient::new(bench.client(READER));
    let answer = config.validate(v1::ValidateConfigRequest { config: text, ..Default::default() }).await;
    assert!(answer.as_ref().err().is_none_or(|status| status.code() != Code::OutOfRange), "{answer:?}");
}

#[tokio::test]
async fn a_log_is_followed_from_its_tail() {
    let bench = Bench::start(true);
    for n in 0..200 {
        bench.node.logs.append("etcd", format!("line {n}"));
    }
    let mut client = LogServiceClient::new(bench.client(READER));
    let request = v1::ReadLogRequest { id: "etcd".into(), tail: 100, follow: true };
    let mut answers = client.read(request).await.unwrap().into_inner();
    bench.node.logs.append("etcd", "the end");
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != "the end") {
        let answer = timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap();
        lines.extend(answer.lines.into_iter().map(|line| String::from_utf8(line.line.to_vec()).unwrap()));
    }
    assert_eq!((lines.len(), lines[0].as_str()), (101, "line 100"));
    let whole = v1::ReadLogRequest { id: "etcd".into(), tail: -1, follow: false };
    let mut answers = client.read(whole).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        count += answer.lines.len();
    }
    assert_eq!(count, 201);
    let unknown =
        client.read(v1::ReadLogRequest { id: "nobody".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(code(&unknown), codes::NOT_FOUND);
}
