//! `ClusterService`.

mod bootstrap;
mod control_plane;
mod health;
mod kubeconfig;

use corten_api::v1::cluster_service_server::ClusterService;
use corten_api::v1::{
    BootstrapRequest, BootstrapResponse, HealthCheck, HealthRequest, KubeconfigRequest, KubeconfigResponse,
};
use tonic::{Request, Response, Status};

use super::{Answers, Api};

#[tonic::async_trait]
impl ClusterService for Api {
    async fn bootstrap(
        &self,
        request: Request<BootstrapRequest>,
    ) -> Result<Response<BootstrapResponse>, Status> {
        bootstrap::bootstrap(&self.0, request).await
    }

    async fn kubeconfig(
        &self,
        request: Request<KubeconfigRequest>,
    ) -> Result<Response<KubeconfigResponse>, Status> {
        kubeconfig::kubeconfig(&self.0, request)
    }

    type HealthStream = Answers<HealthCheck>;

    async fn health(&self, request: Request<HealthRequest>) -> Result<Response<Self::HealthStream>, Status> {
        health::health(&self.0, request)
    }
}
