//! `StorageService`.

mod disks;
mod to_proto;
mod watch_install;

use corten_api::v1::storage_service_server::StorageService;
use corten_api::v1::{DisksRequest, DisksResponse, Progress, WatchInstallRequest};
use tonic::{Request, Response, Status};

use super::{Answers, Api};

#[tonic::async_trait]
impl StorageService for Api {
    async fn disks(&self, request: Request<DisksRequest>) -> Result<Response<DisksResponse>, Status> {
        disks::disks(&self.0, request)
    }

    type WatchInstallStream = Answers<Progress>;

    async fn watch_install(
        &self,
        request: Request<WatchInstallRequest>,
    ) -> Result<Response<Self::WatchInstallStream>, Status> {
        watch_install::watch_install(&self.0, request)
    }
}
