//! `ServiceService`.

use corten_api::v1::service_service_server::ServiceService;
use corten_api::v1::{
    ListServicesRequest, ListServicesResponse, RestartServiceRequest, RestartServiceResponse, Service,
    StartServiceRequest, StartServiceResponse, StopServiceRequest, StopServiceResponse,
};
use corten_api::{codes, error};
use corten_resources::runtime::{ServiceSpec, ServiceStatus};
use corten_supervisor::SupervisorError;
use tonic::{Request, Response, Status};

use super::auth::Caller;
use super::{Api, unix_ms};

#[tonic::async_trait]
impl ServiceService for Api {
    async fn list(&self, _request: Request<ListServicesRequest>) -> Result<Response<ListServicesResponse>, Status> {
        let all = self.0.store.list::<ServiceStatus>();
        let services = all.iter().map(|resource| to_proto(&resource.metadata.id, &resource.spec)).collect();
        Ok(Response::new(ListServicesResponse { services }))
    }

    async fn start(&self, request: Request<StartServiceRequest>) -> Result<Response<StartServiceResponse>, Status> {
        self.record(&request, "start", &request.get_ref().id);
        let id = request.into_inner().id;
        self.0.supervisor.start(&id).map_err(|e| self.refusal(&id, &e))?;
        Ok(Response::new(StartServiceResponse { service: self.one(&id) }))
    }

    async fn stop(&self, request: Request<StopServiceRequest>) -> Result<Response<StopServiceResponse>, Status> {
        self.record(&request, "stop", &request.get_ref().id);
        let id = request.into_inner().id;
        self.0.supervisor.stop(&id).map_err(|e| self.refusal(&id, &e))?;
        Ok(Response::new(StopServiceResponse { service: self.one(&id) }))
    }

    async fn restart(
        &self,
        request: Request<RestartServiceRequest>,
    ) -> Result<Response<RestartServiceResponse>, Status> {
        self.record(&request, "restart", &request.get_ref().id);
        let id = request.into_inner().id;
        self.0.supervisor.restart(&id).map_err(|e| self.refusal(&id, &e))?;
        Ok(Response::new(RestartServiceResponse { service: self.one(&id) }))
    }
}

impl Api {
    fn one(&self, id: &str) -> Option<Service> {
        self.0.store.get::<ServiceStatus>(id).map(|resource| to_proto(id, &resource.spec))
    }

    fn refusal(&self, id: &str, failure: &SupervisorError) -> Status {
        if self.0.store.get::<ServiceSpec>(id).is_none() {
            let message = format!("there is no service {id:?}");
            return error::status(codes::NOT_FOUND, message, "osctl services list shows what there is");
        }
        error::to_status(codes::SERVICE_STATE, failure, "osctl services list")
    }

    /// Tells in the events who asked for a change.
    pub(super) fn record<T>(&self, request: &Request<T>, what: &str, target: &str) {
        let caller = Caller::of(request);
        let name = if caller.name.is_empty() { "a client without a certificate" } else { &caller.name };
        tracing::info!(caller = name, target, "API call: {what}");
        let fields = [("caller".to_owned(), caller.name.clone()), ("roles".to_owned(), caller.roles.join(","))];
        self.0.events.publish("api", target, format!("{name} asked: {what}"), fields.into());
    }
}

fn to_proto(id: &str, status: &ServiceStatus) -> Service {
    let message = if status.waiting_for.is_empty() {
        status.message.clone()
    } else {
        format!("waits for {}", status.waiting_for.join(", "))
    };
    Service {
        id: id.to_owned(),
        state: status.state.to_string(),
        ready: status.ready,
        pid: status.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        since_unix_ms: unix_ms(status.since),
        restarts: u32::try_from(status.restarts).unwrap_or(u32::MAX),
        last_exit: status.last_exit.clone().unwrap_or_default(),
        message,
        memory_bytes: memory(id),
    }
}

/// Memory of the service's cgroup; 0 when it has none.
fn memory(id: &str) -> u64 {
    let path = format!("/sys/fs/cgroup/system/{id}/memory.current");
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
