//! `MachineService`.

mod boot_timeline;
mod dmesg;
mod events;
mod reboot;
mod reset;
mod shutdown;
mod status;
mod to_proto;
mod version;

use corten_api::v1::machine_service_server::MachineService;
use corten_api::v1::{
    BootTimelineRequest, BootTimelineResponse, DmesgRequest, Event, EventsRequest, KernelMessage, Progress,
    RebootRequest, RebootResponse, ResetRequest, ShutdownRequest, ShutdownResponse, StatusRequest,
    StatusResponse, VersionRequest, VersionResponse,
};
use tonic::{Request, Response, Status};

use super::{Answers, Api};

#[tonic::async_trait]
impl MachineService for Api {
    async fn version(&self, request: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        version::version(request)
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        status::status(&self.0, request)
    }

    async fn boot_timeline(
        &self,
        request: Request<BootTimelineRequest>,
    ) -> Result<Response<BootTimelineResponse>, Status> {
        boot_timeline::boot_timeline(&self.0, request)
    }

    async fn reboot(&self, request: Request<RebootRequest>) -> Result<Response<RebootResponse>, Status> {
        reboot::reboot(&self.0, request)
    }

    async fn shutdown(
        &self,
        request: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        shutdown::shutdown(&self.0, request)
    }

    type ResetStream = Answers<Progress>;

    async fn reset(&self, request: Request<ResetRequest>) -> Result<Response<Self::ResetStream>, Status> {
        reset::reset(&self.0, request)
    }

    type EventsStream = Answers<Event>;

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        events::events(&self.0, request)
    }

    type DmesgStream = Answers<KernelMessage>;

    async fn dmesg(&self, request: Request<DmesgRequest>) -> Result<Response<Self::DmesgStream>, Status> {
        dmesg::dmesg(&self.0, request).await
    }
}
