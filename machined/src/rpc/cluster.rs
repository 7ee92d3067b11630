//! `ClusterService`.

use std::time::Duration;

use corten_api::v1::cluster_service_server::ClusterService;
use corten_api::v1::{
    BootstrapRequest, BootstrapResponse, HealthCheck, HealthRequest, HealthState, KubeconfigRequest,
    KubeconfigResponse,
};
use corten_api::{codes, error};
use corten_config::Role;
use corten_resources::runtime::{MACHINE, MachineStatus, ServiceSpec, ServiceStatus};
use corten_store::Kind as _;
use futures::StreamExt as _;
use tonic::{Request, Response, Status};

use super::{Answers, Api};
use crate::controllers::config;
use crate::controllers::runtime::bootstrap::BootstrapError;
use crate::controllers::secrets::kubernetes::admin_kubeconfig;

/// Life of an administrator's certificate when the caller does not say.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[tonic::async_trait]
impl ClusterService for Api {
    async fn bootstrap(&self, request: Request<BootstrapRequest>) -> Result<Response<BootstrapResponse>, Status> {
        self.record(&request, "bootstrap etcd", MACHINE);
        self.control_plane()?;
        self.0.member.bootstrap().await.map_err(|failure| match failure {
            BootstrapError::Done(_) => {
                let hint = "nothing to do: osctl health shows how the cluster is";
                error::to_status(codes::CLUSTER_BOOTSTRAPPED, &failure, hint)
            }
            BootstrapError::Marker(_) => error::to_status(codes::CONFIG_STORE, &failure, "osctl get volumes"),
        })?;
        Ok(Response::new(BootstrapResponse {}))
    }

    async fn kubeconfig(&self, request: Request<KubeconfigRequest>) -> Result<Response<KubeconfigResponse>, Status> {
        self.record(&request, "issue an administrator's kubeconfig", MACHINE);
        let config = self.control_plane()?;
        let lifetime = match request.get_ref().lifetime_seconds {
            0 => YEAR,
            seconds => Duration::from_secs(seconds),
        };
        let kubeconfig = admin_kubeconfig(&config, lifetime)
            .map_err(|failure| error::to_status(codes::INTERNAL, failure.as_ref(), ""))?;
        let context = format!("admin@{}", config.cluster.name);
        Ok(Response::new(KubeconfigResponse { kubeconfig, context }))
    }

    type HealthStream = Answers<HealthCheck>;

    async fn health(&self, request: Request<HealthRequest>) -> Result<Response<Self::HealthStream>, Status> {
        let wait = Duration::from_millis(request.get_ref().wait_ms);
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        let api = self.clone();
        tokio::spawn(async move { api.follow_health(wait, sender).await });
        let answers = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(answers.map(Ok))))
    }
}

impl Api {
    /// The config, when this is a control-plane node.
    fn control_plane(&self) -> Result<std::sync::Arc<corten_config::Config>, Status> {
        match config::active(&self.0.store) {
            Some(config) if config.machine.role == Role::Controlplane => Ok(config),
            Some(_) => Err(error::status(
                codes::CLUSTER_NOT_CONTROL_PLANE,
                "this node is a worker",
                "name a control-plane node with -n",
            )),
            None => Err(error::status(codes::MACHINE_MAINTENANCE, "the machine has no config yet", "")),
        }
    }

    /// Sends each check when it changes, until all pass or the time is over.
    async fn follow_health(&self, wait: Duration, sender: tokio::sync::mpsc::Sender<HealthCheck>) {
        let deadline = tokio::time::Instant::now() + wait;
        let mut changed =
            self.0.store.changed(&[ServiceStatus::NAME, ServiceSpec::NAME, MachineStatus::NAME]);
        let mut sent: Vec<HealthCheck> = Vec::new();
        loop {
            let last = tokio::time::Instant::now() >= deadline;
            let checks = self.checks(last);
            for check in &checks {
                if !sent.contains(check) && sender.send(check.clone()).await.is_err() {
                    return; // the client is gone
                }
            }
            if last || checks.iter().all(|check| check.state() == HealthState::Passed) {
                return;
            }
            sent = checks;
            // An elapsed deadline is what `last` is for.
            let _ = tokio::time::timeout_at(deadline, changed.wait()).await;
        }
    }

    /// Services in order of name, then what else the machine waits for.
    fn checks(&self, last: bool) -> Vec<HealthCheck> {
        let store = &self.0.store;
        let open = if last { HealthState::Failed } else { HealthState::Waiting };
        let machine = store.get::<MachineStatus>(MACHINE).map(|machine| machine.spec.clone()).unwrap_or_default();
        let unmet: Vec<HealthCheck> = machine
            .unmet
            .into_iter()
            .map(|unmet| HealthCheck {
                name: unmet.name,
                state: open.into(),
                message: unmet.reason,
                causes: unmet.causes,
            })
            .collect();
        let passed = |name: String| HealthCheck { name, state: HealthState::Passed.into(), ..HealthCheck::default() };
        let services = store.list::<ServiceSpec>();
        let mut checks: Vec<HealthCheck> = services
            .iter()
            .map(|service| format!("service {}", service.metadata.id))
            .chain(["node-ready".to_owned()])
            .filter(|name| unmet.iter().all(|check| check.name != *name))
            .filter(|name| name != "node-ready" || machine.ready)
            .map(passed)
            .collect();
        checks.extend(unmet);
        checks
    }
}
