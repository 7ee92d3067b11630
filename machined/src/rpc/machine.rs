//! `MachineService`.

use corten_api::v1::machine_service_server::MachineService;
use corten_api::v1::{
    BootPhase, BootTimelineRequest, BootTimelineResponse, DmesgRequest, Event, EventsRequest, KernelMessage,
    RebootRequest, RebootResponse, ShutdownRequest, ShutdownResponse, Stage, StatusRequest, StatusResponse,
    UnmetCondition, VersionRequest, VersionResponse,
};
use corten_constants::VERSION;
use corten_resources::config::MachineConfig;
use corten_resources::k8s::NodeStatus;
use corten_resources::network::{HostnameStatus, NodeAddresses};
use corten_resources::runtime::{MACHINE, MachineStage, MachineStatus};
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::log::count;
use super::{Answers, Api, unix_ms};
use crate::controllers::config;
use crate::node::{PowerAction, PowerRequest};
use crate::versions;

#[tonic::async_trait]
impl MachineService for Api {
    async fn version(&self, _request: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        let components = versions::components();
        Ok(Response::new(VersionResponse {
            version: VERSION.into(),
            kubernetes: components.kubernetes.clone(),
            containerd: components.containerd.clone(),
            etcd: components.etcd.clone(),
            kernel: versions::kernel(),
            architecture: std::env::consts::ARCH.into(),
            root_hash: versions::root_hash(),
        }))
    }

    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.observe()))
    }

    async fn boot_timeline(
        &self,
        _request: Request<BootTimelineRequest>,
    ) -> Result<Response<BootTimelineResponse>, Status> {
        let phases = self.0.timeline.snapshot().marks.into_iter();
        let phases = phases.map(|mark| BootPhase { name: mark.name, at_us: mark.at_ms * 1000, took_us: 0 }).collect();
        Ok(Response::new(BootTimelineResponse { boot_id: versions::boot_id(), phases }))
    }

    async fn reboot(&self, request: Request<RebootRequest>) -> Result<Response<RebootResponse>, Status> {
        self.record(&request, "reboot", MACHINE);
        self.0.power.ask(PowerRequest { action: PowerAction::Reboot, force: request.get_ref().force });
        Ok(Response::new(RebootResponse { boot_id: versions::boot_id() }))
    }

    async fn shutdown(&self, request: Request<ShutdownRequest>) -> Result<Response<ShutdownResponse>, Status> {
        self.record(&request, "shutdown", MACHINE);
        self.0.power.ask(PowerRequest { action: PowerAction::PowerOff, force: request.get_ref().force });
        Ok(Response::new(ShutdownResponse { boot_id: versions::boot_id() }))
    }

    type EventsStream = Answers<Event>;

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        let request = request.into_inner();
        if !request.follow {
            let events = self.0.events.tail(count(request.tail)).into_iter().map(|event| Ok(event_to_proto(&event)));
            return Ok(Response::new(Box::pin(stream::iter(events))));
        }
        let follow = self.0.events.follow(count(request.tail));
        let answers = stream::unfold(follow, |mut follow| async {
            Some((Ok(event_to_proto(&*follow.next().await?)), follow))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    type DmesgStream = Answers<KernelMessage>;

    async fn dmesg(&self, request: Request<DmesgRequest>) -> Result<Response<Self::DmesgStream>, Status> {
        let request = request.into_inner();
        let messages = self.0.kernel_log.read(count(request.tail), request.follow);
        let answers = messages.map(|message| {
            Ok(KernelMessage {
                sequence: message.sequence,
                at_us: message.microseconds,
                priority: message.level as u32,
                facility: message.facility.into(),
                message: message.message.clone(),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Api {
    fn observe(&self) -> StatusResponse {
        let store = &self.0.store;
        let machine = store.get::<MachineStatus>(MACHINE).map(|machine| machine.spec.clone()).unwrap_or_default();
        let config = config::active(store);
        let hostname = store.get::<HostnameStatus>(HostnameStatus::ID).map(|status| status.spec.hostname.clone());
        let addresses = store.get::<NodeAddresses>(NodeAddresses::ID);
        let hostname = hostname.unwrap_or_default();
        StatusResponse {
            stage: stage(machine.stage).into(),
            ready: machine.ready,
            unmet: machine.unmet.into_iter().map(unmet_to_proto).collect(),
            addresses: addresses.iter().flat_map(|all| all.spec.ips().map(|ip| ip.to_string()).collect::<Vec<_>>()).collect(),
            role: config.as_ref().map(|config| role(config.machine.role).to_owned()).unwrap_or_default(),
            cluster: config.map(|config| config.cluster.name.clone()).unwrap_or_default(),
            boot_id: versions::boot_id(),
            machine_id: versions::machine_id(),
            uptime_ms: versions::uptime_ms(),
            time_unix_ms: unix_ms(jiff::Timestamp::now()),
            config_generation: store.get::<MachineConfig>(MachineConfig::ACTIVE).map_or(0, |c| c.spec.generation),
            kubernetes_ready: store.get::<NodeStatus>(&hostname).is_some_and(|node| node.spec.ready),
            hostname,
        }
    }
}

fn role(role: corten_config::Role) -> &'static str {
    match role {
        corten_config::Role::Controlplane => "controlplane",
        corten_config::Role::Worker => "worker",
    }
}

fn stage(stage: MachineStage) -> Stage {
    match stage {
        MachineStage::Booting => Stage::Booting,
        MachineStage::Maintenance => Stage::Maintenance,
        MachineStage::Running => Stage::Running,
        MachineStage::Rebooting => Stage::Rebooting,
        MachineStage::ShuttingDown => Stage::ShuttingDown,
    }
}

fn unmet_to_proto(unmet: corten_resources::runtime::UnmetCondition) -> UnmetCondition {
    UnmetCondition { name: unmet.name, reason: unmet.reason, causes: unmet.causes, hint: unmet.hint }
}

fn event_to_proto(event: &corten_supervisor::Event) -> Event {
    Event {
        id: event.sequence,
        time_unix_ms: unix_ms(event.time),
        kind: event.kind.clone(),
        source: event.source.clone(),
        message: event.message.clone(),
        fields: event.fields.clone().into_iter().collect(),
    }
}
